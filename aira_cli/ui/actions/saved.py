"""Commands for conversations that are kept: name, find, load, export."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from aira_cli.errors import HistoryError, UsageError
from aira_cli.history.export import conversation_object, local_time, markdown, plain_text
from aira_cli.history.export_file import write_export
from aira_cli.history.store import History
from aira_cli.printable import one_line, printable_json
from aira_cli.session import Answer
from aira_cli.types import FinishReason
from aira_cli.ui.actions.words import wanted
from aira_cli.ui.tables import print_table
from aira_cli.ui.talk import Talk

_LISTED = 20


def save(talk: Talk, words: str) -> None:
    """Names the conversation; everything else is recorded as it happens."""
    talk.conversation.recorder.rename(" ".join(wanted(words).split()))
    talk.tell("chat.saved", name=talk.conversation.recorder.name)


def load(talk: Talk, words: str) -> None:
    """Goes on with a conversation of that number or name."""
    with _history(talk) as history:
        which = wanted(words)
        number = int(which) if which.isdecimal() and len(which) < 19 else history.named(which)
        if number is None:
            raise HistoryError("history_no_conversation", number=which)
        saved = history.conversation(number)
    talk.conversation.load(saved)
    show_last(talk)


def show_last(talk: Talk) -> None:
    """The last question and the answer that counts, so that a person knows where they are."""
    conversation = talk.conversation
    path = conversation.snapshot().path(conversation.place)
    talk.tell("chat.loaded", number=conversation.recorder.conversation, turns=len(path))
    for turn, answer in path[-1:]:
        talk.say(talk.labels.question(turn.question), style="bold")
        talk.say(f"{talk.labels.answer(answer.row)} {answer.text.strip()}", style="default")
        reason = cast(FinishReason, answer.finish_reason)
        shown = Answer(answer.row, answer.seed, ids=[0] * answer.tokens, finish_reason=reason)
        talk.say(talk.labels.facts([shown]))
        if len(turn.answers) > 1:
            talk.tell("chat.other_answers", count=len(turn.answers))
    for turn in list(conversation.turns.values())[-1:]:
        if not turn.answers:
            talk.tell("chat.unanswered", question=one_line(turn.question, 60))


def sessions(talk: Talk, words: str) -> None:
    """The newest conversations, those with all `words`."""
    with _history(talk) as history:
        found = history.conversations(_LISTED + 1, words.split())
    listed = found[:_LISTED]
    if not listed:
        talk.tell("history.nothing_found")
        return
    heads = [talk.t(f"history.{name}") for name in ("number", "date", "turns", "title")]
    rows = [
        [
            str(one.number), local_time(one.updated), str(one.turns),
            f"{one.name} · {one.title}" if one.name else one.title,
        ]
        for one in listed
    ]  # fmt: skip
    print_table(talk.environment.stdout, heads, rows, prose=False)
    if len(found) > len(listed):
        talk.tell("chat.more_sessions", limit=_LISTED)


def export(talk: Talk, words: str) -> None:
    """The conversation as a file; its name's end says as what."""
    words, force = _without_force(words)
    path = Path(wanted(words)).expanduser()
    saved = talk.conversation.snapshot()
    match path.suffix.lower():
        case ".md":
            text = markdown(saved, talk.t)
        case ".txt":
            text = plain_text(saved, talk.t)
        case ".json":
            text = printable_json(conversation_object(saved)) + "\n"
        case _:
            raise UsageError("chat_export_suffix", path=path)
    write_export(path, text, force=force)
    talk.tell("chat.exported", path=path)


def _without_force(words: str) -> tuple[str, bool]:
    """What is left of `words` without --force, at either end, and whether it stood there."""
    for flag in ("--force", "-f"):
        if words.startswith(f"{flag} "):
            return words.removeprefix(flag).strip(), True
        if words.endswith(f" {flag}"):
            return words.removesuffix(flag).strip(), True
    return words, False


def _history(talk: Talk) -> History:
    path = talk.conversation.recorder.path
    if path is None:
        raise HistoryError("history_off")
    return History.open(path)
