"""One turn of a conversation: ask the engine, hand every chunk on, keep what was answered.

Showing is the caller's: `show` gets each chunk as it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from aira_cli.engine.base import Engine
from aira_cli.types import Chunk, FinishReason, Message, Request, Sampling, Stats

Show = Callable[[Chunk], None]


@dataclass
class Answer:
    """One row as far as it was generated. `seed` draws it again, alone."""

    row: int
    seed: int
    text: str = ""
    tokens: int = 0
    finish_reason: FinishReason | None = None

    def add(self, chunk: Chunk) -> None:
        """One more chunk of this row."""
        self.text += chunk.text
        self.tokens += len(chunk.ids)
        self.finish_reason = chunk.finish_reason or self.finish_reason


@dataclass(frozen=True)
class Turn:
    """A question with its answers; `stats` is None if it was interrupted."""

    request: Request
    answers: tuple[Answer, ...]
    stats: Stats | None

    @property
    def interrupted(self) -> bool:
        return any(answer.finish_reason == "interrupted" for answer in self.answers)


def run_turn(engine: Engine, request: Request, show: Show) -> Turn:
    """Streams the answers to `request`. Ctrl-C stops all rows and keeps what is there."""
    answers = [Answer(row, request.seed + row) for row in range(request.sampling.samples)]
    stats = None
    try:
        with closing(engine.stream(request)) as chunks:  # type: ignore[type-var]
            for chunk in chunks:
                answers[chunk.row].add(chunk)
                stats = chunk.stats
                show(chunk)
    except KeyboardInterrupt:
        for answer in answers:
            answer.finish_reason = answer.finish_reason or "interrupted"
    return Turn(request, tuple(answers), stats)


@dataclass
class Conversation:
    """Several turns with one engine. The first sample of a turn becomes part of the history."""

    engine: Engine
    sampling: Sampling
    seed: int
    messages: list[Message] = field(default_factory=list)

    def ask(self, question: str, show: Show) -> Turn:
        """Runs a turn; it is remembered unless it fails or nothing was answered."""
        asked = (*self.messages, Message("user", question))
        turn = run_turn(self.engine, Request(asked, self.sampling, self.seed), show)
        first = turn.answers[0].text.strip()
        if first:
            self.messages = [*asked, Message("assistant", first)]
        self.seed += self.sampling.samples
        return turn

    def restart(self) -> None:
        """Forgets all turns."""
        self.messages = []
