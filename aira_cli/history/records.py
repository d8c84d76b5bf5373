"""What the history gives back: conversations, their tree of turns, answers. Frozen values.

Texts are raw, as they were typed and generated; whoever shows them makes them printable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from aira_cli.types import Message


class AnswerKey(NamedTuple):
    """One answer: the turn's id and the row. What a later turn grows from."""

    turn: int
    row: int


@dataclass(frozen=True)
class SavedAnswer:
    """One row of a turn. `seed` draws it again, alone; at most one of a turn is `picked`."""

    row: int
    seed: int
    text: str
    tokens: int
    finish_reason: str | None
    picked: bool = False
    token_ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SavedTurn:
    """A question with its answers; none of them if the program was killed before the end.

    `number` counts from 1 within the conversation. `settings` and `stats` have the fields that
    `Sampling` and `Stats` had when they were written.
    """

    id: int
    number: int
    parent: AnswerKey | None
    question: str
    system: str | None
    profile: str
    settings: Mapping[str, object]
    asked: datetime
    stats: Mapping[str, object] | None
    answers: tuple[SavedAnswer, ...]

    def picked(self) -> AnswerKey | None:
        """The answer that became part of the conversation."""
        rows = (answer.row for answer in self.answers if answer.picked)
        return next((AnswerKey(self.id, row) for row in rows), None)


@dataclass(frozen=True)
class Listed:
    """A conversation in a list. `profile` is that of the newest question, `turns` their count."""

    number: int
    name: str | None
    title: str
    profile: str
    language: str
    created: datetime
    updated: datetime
    turns: int


@dataclass(frozen=True)
class SavedConversation:
    """A whole tree. `place` is the answer that the next question would follow, None the start."""

    listed: Listed
    place: AnswerKey | None
    turns: tuple[SavedTurn, ...]

    def path(self, place: AnswerKey | None) -> list[tuple[SavedTurn, SavedAnswer]]:
        """The turns from the start to `place`, each with the answer that leads there."""
        return list(self._upwards(place))[::-1]

    def messages(self) -> tuple[Message, ...]:
        """What a next question would be sent behind: the path to `place`."""
        path = self.path(self.place)
        system = path[-1][0].system if path else None
        messages = [Message("system", system)] if system else []
        for turn, answer in path:
            if answer.text.strip():  # a question that got no answer is not asked again
                messages.append(Message("user", turn.question))
                messages.append(Message("assistant", answer.text.strip()))
        return tuple(messages)

    def _upwards(self, place: AnswerKey | None) -> Iterator[tuple[SavedTurn, SavedAnswer]]:
        turns = {turn.id: turn for turn in self.turns}
        while place is not None:
            turn = turns[place.turn]
            yield turn, next(answer for answer in turn.answers if answer.row == place.row)
            place = turn.parent


@dataclass(frozen=True)
class Found:
    """A text that has the words of a search: an answer's, or the question's if `row` is None."""

    conversation: int
    title: str
    turn: int
    row: int | None
    asked: datetime
    text: str
