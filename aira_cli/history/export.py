"""A saved conversation as text for people (plain, Markdown) or as an object for JSON.

Pure functions; the words come from the caller's Translate. Texts come out printable, because an
exported file is read in a terminal sooner or later. Dates are local, and in JSON UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from aira_cli.history.records import (
    AnswerKey,
    Found,
    Listed,
    SavedAnswer,
    SavedConversation,
    SavedTurn,
)
from aira_cli.printable import one_line, printable

Translate = Callable[..., str]

#: Why an answer ended, where that is not simply its end.
_ENDINGS = {"length": "export.cut", "interrupted": "export.interrupted", "loop": "export.loop"}


def local_time(moment: datetime) -> str:
    """To the minute, where the person is."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def plain_text(conversation: SavedConversation, t: Translate) -> str:
    """For reading in a terminal: all turns with all answers, in the order they were asked."""
    lines = [one_line(conversation.listed.title), _facts(conversation.listed, t), ""]
    for turn in conversation.turns:
        lines += [_question_heading(conversation, turn, t) + ":"]
        lines += [printable(text) for text in (turn.system, turn.question) if text]
        lines += [""]
        for heading, text in _answers(turn, t):
            lines += [heading + ":", text, ""] if text else [heading, ""]
    return "\n".join(lines)


def markdown(conversation: SavedConversation, t: Translate) -> str:
    """The same with headings; what a person wrote is quoted, an answer stands as it is."""
    lines = [f"# {one_line(conversation.listed.title)}", "", _facts(conversation.listed, t), ""]
    for turn in conversation.turns:
        lines += [f"## {_question_heading(conversation, turn, t)}", ""]
        if turn.system:
            lines += [*_quoted(turn.system), ""]
        lines += [*_quoted(turn.question), ""]
        for heading, text in _answers(turn, t):
            lines += [f"### {heading}", "", text, ""] if text else [heading, ""]
    return "\n".join(lines)


def listed_object(listed: Listed) -> dict[str, Any]:
    """A line of a list."""
    return {
        "number": listed.number,
        "name": listed.name,
        "title": listed.title,
        "profile": listed.profile,
        "language": listed.language,
        "created": listed.created.isoformat(),
        "updated": listed.updated.isoformat(),
        "turns": listed.turns,
    }


def conversation_object(conversation: SavedConversation) -> dict[str, Any]:
    """The whole tree. Turns are numbered from 1, rows from 0; `after` is the answer before."""
    numbers = {turn.id: turn.number for turn in conversation.turns}

    def place(key: AnswerKey | None) -> dict[str, int] | None:
        return None if key is None else {"turn": numbers[key.turn], "row": key.row}

    turns = [
        {
            "turn": turn.number,
            "after": place(turn.parent),
            "question": turn.question,
            "system": turn.system,
            "profile": turn.profile,
            "asked": turn.asked.isoformat(),
            "settings": turn.settings,
            "stats": turn.stats,
            "answers": [_answer_object(answer) for answer in turn.answers],
        }
        for turn in conversation.turns
    ]
    return {
        **listed_object(conversation.listed),
        "turns": turns,
        "place": place(conversation.place),
    }


def found_object(found: Found) -> dict[str, Any]:
    """One place that a search found."""
    return {
        "conversation": found.conversation,
        "title": found.title,
        "turn": found.turn,
        "row": found.row,
        "asked": found.asked.isoformat(),
        "text": found.text,
    }


def _answer_object(answer: SavedAnswer) -> dict[str, Any]:
    return {
        "row": answer.row,
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "tokens": answer.tokens,
        "seed": answer.seed,
        "picked": answer.picked,
        "token_ids": answer.token_ids,
    }


def _facts(listed: Listed, t: Translate) -> str:
    facts = t(
        "export.facts",
        number=listed.number, date=local_time(listed.created), profile=listed.profile,
        turns=listed.turns,
    )  # fmt: skip
    return one_line(f"{listed.name} · {facts}" if listed.name else facts)


def _question_heading(conversation: SavedConversation, turn: SavedTurn, t: Translate) -> str:
    """The question's number; where it does not follow the one before it, what it does follow."""
    notes = []
    before = conversation.turns[turn.number - 2] if turn.number > 1 else None
    if before is not None and turn.parent != before.picked():
        notes.append(_after(conversation, turn.parent, t))
    if turn.profile != conversation.listed.profile:
        notes.append(one_line(turn.profile))
    return _noted(t("export.question", number=turn.number), notes)


def _after(conversation: SavedConversation, place: AnswerKey | None, t: Translate) -> str:
    if place is None:
        return t("export.from_start")
    turn = next(turn.number for turn in conversation.turns if turn.id == place.turn)
    return t("export.after", turn=turn, answer=place.row + 1)


def _answers(turn: SavedTurn, t: Translate) -> Iterator[tuple[str, str]]:
    """A heading and a text for each answer; where there is none, that."""
    if not turn.answers:
        yield t("export.unanswered"), ""
    for answer in turn.answers:
        notes = [t("export.picked")] if answer.picked and len(turn.answers) > 1 else []
        notes += [t("export.tokens", tokens=answer.tokens), t("export.seed", seed=answer.seed)]
        if answer.finish_reason in _ENDINGS:
            notes.append(t(_ENDINGS[answer.finish_reason]))
        heading = _noted(t("export.answer", number=answer.row + 1), notes)
        yield heading, printable(answer.text).strip()


def _noted(heading: str, notes: list[str]) -> str:
    return f"{heading} ({'; '.join(notes)})" if notes else heading


def _quoted(text: str) -> list[str]:
    return [f"> {line}".rstrip() for line in printable(text).split("\n")]
