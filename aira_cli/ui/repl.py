"""The conversation's loop: read a line, run a command or a turn, again.

Ctrl-C while answers grow stops them and keeps what is there; at the prompt it clears the line,
and twice within two seconds on an empty one it leaves. Ctrl-D leaves.
"""

from __future__ import annotations

import time
from pathlib import Path

from prompt_toolkit import PromptSession

from aira_cli.errors import AiraError
from aira_cli.ui.actions.models import tell_limits
from aira_cli.ui.commands import find_command, nearest_command
from aira_cli.ui.completion import CommandCompleter
from aira_cli.ui.keys import prompt_keys
from aira_cli.ui.line_history import line_history
from aira_cli.ui.talk import Talk
from aira_cli.ui.toolbar import toolbar

INTERRUPTED = 130
_TWICE_SECONDS = 2.0
_MENU_LINES = 6


class Repl:
    """Reads what a person types and has it done; `lines` is where typed lines are kept."""

    def __init__(self, talk: Talk, lines: Path | None) -> None:
        self._talk = talk
        self._interrupted_at = float("-inf")
        self._lines = line_history(lines)
        self._prompt: PromptSession[str] = PromptSession(
            history=self._lines,
            key_bindings=prompt_keys(),
            completer=CommandCompleter(talk),
            complete_while_typing=False,
            multiline=True,
            prompt_continuation=_continuation,
            reserve_space_for_menu=_MENU_LINES,
            bottom_toolbar=lambda: toolbar(talk, talk.console.width),
            tempfile_suffix=".md",
        )

    def run(self) -> int:
        """Until the person leaves; the exit code."""
        talk = self._talk
        talk.tell("chat.welcome", name=talk.profile.name)
        tell_limits(talk)
        talk.measure()
        while not talk.leaving:
            try:
                line = self._read()
            except EOFError:
                return 0
            except KeyboardInterrupt:
                if self._interrupted_twice():
                    return INTERRUPTED
                continue
            if line.strip():
                self._do(line)
        return 0

    def _read(self) -> str:
        draft, self._talk.draft = self._talk.draft, ""
        label = self._talk.labels.question("").rstrip() + " "
        line = self._prompt.prompt(label, default=draft)
        # Bytes that are no letters come as lone surrogates, which no tokenizer takes.
        return line.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _interrupted_twice(self) -> bool:
        """Whether Ctrl-C is meant; a line that it cleared stays in the line history."""
        typed = self._prompt.default_buffer.text
        if typed:
            self._lines.append_string(typed)
            return False
        now = time.monotonic()
        twice = now - self._interrupted_at < _TWICE_SECONDS
        self._interrupted_at = now
        if not twice:
            self._talk.tell("chat.how_to_leave")
        return twice

    def _do(self, line: str) -> None:
        """A command or a question. Neither a failure nor Ctrl-C ends the chat."""
        words = line.lstrip()
        try:
            if not words.startswith("/"):
                self._talk.ask(line)
            elif words.startswith("//"):
                self._talk.ask(words[1:])
            else:
                self._command(words)
        except AiraError as error:
            self._talk.complain(error)
        except KeyboardInterrupt:
            self._talk.tell("chat.interrupted")
        self._talk.tell_unrecorded()
        self._talk.measure()

    def _command(self, line: str) -> None:
        first = line.split()[0]
        command = find_command(line)
        if command is None:
            self._talk.tell("chat.unknown", name=first, near=nearest_command(line))
            return
        command.run(self._talk, line[len(first) :].strip())


def _continuation(width: int, line: int, wrapped: int) -> str:
    return " " * width
