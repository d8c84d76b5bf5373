"""Keeping the turns of one conversation as they happen, so that no failure of it stops them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aira_cli.errors import HistoryError, UsageError
from aira_cli.history.records import AnswerKey, SavedAnswer
from aira_cli.history.store import History
from aira_cli.types import Request, Stats


@dataclass
class Recorder:
    """Writes turns until that fails once; then says why to `complain`, and writes no more.

    A `path` of None writes nothing. `conversation` None starts one with the next question, called
    `name`; `place` is the answer that question follows, and moves on with every picked answer.
    """

    path: Path | None
    language: str
    clock: Callable[[], datetime]
    complain: Callable[[HistoryError], None]
    conversation: int | None = None
    place: AnswerKey | None = None
    name: str | None = None
    _turn: int | None = field(default=None, init=False)

    def begin(self, request: Request, profile: str) -> int | None:
        """A question is about to be answered; the turn's id, None if it was not written."""
        self._turn = None
        self._attempt(lambda history: self._begin(history, request, profile))
        return self._turn

    def finish(
        self, answers: Sequence[SavedAnswer], stats: Stats | None, turn: int | None = None
    ) -> None:
        """Answers, complete or as far as they came, to the question begun last or to `turn`."""
        self._attempt(lambda history: self._finish(history, answers, stats, turn or self._turn))

    def pick(self, answer: AnswerKey) -> None:
        """`answer` is the one that the next question follows, and its turn's choice."""
        self.place = answer
        if answer.turn > 0:  # a turn that was never written has none
            self._attempt(lambda history: history.pick(answer))

    def go_to(self, place: AnswerKey | None) -> None:
        """The next question follows `place`; None is the start."""
        self.place = place
        number = self.conversation
        if number is not None and (place is None or place.turn > 0):
            self._attempt(lambda history: history.go_to(number, place))

    def rename(self, name: str) -> None:
        """Names the conversation, or the one that starts with the next question.

        HistoryError if nothing is recorded, UsageError for a name that cannot be.
        """
        if self.path is None:
            raise HistoryError("history_off")
        with History.open(self.path) as history:
            if self.conversation is not None:
                history.rename(self.conversation, name)
            elif not name or name.isdecimal():
                raise UsageError("session_name_invalid", name=name)
            elif history.named(name) is not None:
                raise UsageError("session_name_taken", name=name)
        self.name = name

    def leave(self) -> None:
        """The next question starts another conversation, without a name."""
        self.conversation, self.place, self.name = None, None, None

    def _begin(self, history: History, request: Request, profile: str) -> None:
        now = self.clock()
        if self.conversation is None:
            question = request.messages[-1].text
            self.conversation = history.start(question, profile, self.language, now)
            if self.name is not None:
                try:
                    history.rename(self.conversation, self.name)
                except UsageError:  # another chat took it since
                    self.name = f"{self.name}-{self.conversation}"
                    history.rename(self.conversation, self.name)
        self._turn = history.begin_turn(self.conversation, self.place, request, profile, now)

    def _finish(
        self, history: History, answers: Sequence[SavedAnswer], stats: Stats | None,
        turn: int | None,
    ) -> None:  # fmt: skip
        if turn is None or turn < 0:
            return
        history.finish_turn(turn, answers, stats, self.clock())
        for answer in answers:
            if answer.picked and answer.text.strip():
                self.place = AnswerKey(turn, answer.row)

    def _attempt(self, write: Callable[[History], None]) -> None:
        """Opened for each write, so that no file stays locked while answers grow."""
        if self.path is None:
            return
        try:
            with History.open(self.path) as history:
                write(history)
        except HistoryError as error:
            self.path = None
            self.complain(error)
