"""What Tab offers: commands, and behind a command what it works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from aira_cli.environment import LANGUAGES
from aira_cli.errors import HistoryError
from aira_cli.history.store import History
from aira_cli.ui.commands import command_names, find_command
from aira_cli.ui.layout import LAYOUTS
from aira_cli.ui.settings import NAMES
from aira_cli.ui.talk import Talk

_PATHS = 200


class CommandCompleter(Completer):
    """Completes lines that begin with a slash; other lines are nobody's business."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        line = document.text_before_cursor
        if not line.startswith("/") or "\n" in line:
            return
        first, blank, rest = line.partition(" ")
        if not blank:
            yield from _beginning(command_names(), first)
            return
        word = rest.rpartition(" ")[2]
        command = find_command(first)
        kind = command.completed if command else None
        if kind == "path":
            yield from _paths(rest)
        elif kind == "session":
            yield from _beginning(self._sessions(), rest)
        elif kind is not None:
            yield from _beginning(self._words(kind), word)

    def _words(self, kind: str) -> Iterable[str]:
        match kind:
            case "profile":
                return self._talk.models.store.names()
            case "setting":
                return [f"{name}=" for name in NAMES]
            case "language":
                return LANGUAGES
            case "layout":
                return [self._talk.t(f"chat.layout_{name}") for name in LAYOUTS]
            case _:
                return ("on", "off")

    def _sessions(self) -> list[str]:
        path = self._talk.conversation.recorder.path
        if path is None:
            return []
        try:
            with History.open(path) as history:
                return [one.name or str(one.number) for one in history.conversations(50)]
        except HistoryError:  # told when a conversation is loaded
            return []


def _beginning(words: Iterable[str], start: str) -> Iterator[Completion]:
    for word in words:
        if word.startswith(start):
            yield Completion(word, start_position=-len(start))


def _paths(start: str) -> Iterator[Completion]:
    """Files and folders whose name goes on from what was typed."""
    folder, name = start.rpartition("/")[0::2]
    where = Path(folder + "/" if "/" in start else ".").expanduser()
    try:
        found = sorted(where.iterdir())
    except OSError:
        return
    hidden = name.startswith(".")
    for path in [p for p in found if p.name.startswith(name)][:_PATHS]:
        if hidden or not path.name.startswith("."):
            end = "/" if path.is_dir() else ""
            yield Completion(path.name + end, start_position=-len(name))
