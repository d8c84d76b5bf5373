"""One turn: ask the engine, hand every chunk on, keep what was answered; and turns as a tree.

Showing is the caller's: `show` gets each chunk as it comes. Storing is the recorder's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from aira_cli.engine.base import Engine
from aira_cli.errors import ContextError, UsageError
from aira_cli.history.recorder import Recorder
from aira_cli.history.records import (
    AnswerKey,
    Listed,
    SavedAnswer,
    SavedConversation,
    SavedTurn,
)
from aira_cli.types import Chunk, FinishReason, Message, Request, Sampling, Stats

Show = Callable[[Chunk], None]


@dataclass
class Answer:
    """One row as far as it was generated. `seed` draws it again, alone."""

    row: int
    seed: int
    text: str = ""
    ids: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    @property
    def tokens(self) -> int:
        return len(self.ids)

    def add(self, chunk: Chunk) -> None:
        """One more chunk of this row."""
        self.text += chunk.text
        self.ids += chunk.ids
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


def saved_answers(turn: Turn, *, first_row: int = 0) -> tuple[SavedAnswer, ...]:
    """The answers of `turn` with rows from `first_row` on.

    Until one is picked, the first that says something is what a conversation goes on from.
    """
    says = next((a.row for a in turn.answers if a.text.strip()), 0)
    return tuple(
        SavedAnswer(
            a.row + first_row, a.seed, a.text, a.tokens, a.finish_reason,
            picked=first_row == 0 and a.row == says, token_ids=tuple(a.ids),
        )
        for a in turn.answers
    )  # fmt: skip


@dataclass(frozen=True)
class Outlook:
    """What a question would be sent as: `tokens` long, with `sent` of the turns before it.

    `forgotten` turns are older than the memory reaches; `left_out` ones did not fit.
    """

    request: Request
    tokens: int
    sent: int
    forgotten: int
    left_out: int


def unrecorded() -> Recorder:
    """A recorder that writes nothing."""
    return Recorder(None, "", lambda: datetime.now(UTC), lambda _: None)


@dataclass
class Conversation:
    """Turns as a tree, with one engine at a time; `place` is the answer that a question follows.

    `current` is the turn whose answers the person works with. `memory` is how many past turns
    are sent, None for all. Turns that the history has not got have negative ids.
    """

    engine: Engine
    sampling: Sampling
    seed: int
    profile: str = ""
    memory: int | None = None
    system: str | None = None
    recorder: Recorder = field(default_factory=unrecorded)
    turns: dict[int, SavedTurn] = field(default_factory=dict)
    place: AnswerKey | None = None
    current: int | None = None

    # asking

    def ask(self, question: str, show: Show) -> Turn:
        """Runs a turn behind `place`. It is forgotten again if it fails."""
        return self._answer(question, self.place, show)

    def again(self, show: Show, question: str | None = None) -> Turn:
        """Other answers to the current question, or to another in its place; the old ones stay."""
        turn = self.current_turn()
        return self._answer(question or turn.question, turn.parent, show)

    def more(self, count: int, show: Show) -> Turn:
        """`count` further answers to the current question, with the next seeds."""
        turn = self.current_turn()
        if self.sampling.greedy:
            raise UsageError("more_greedy")
        seed = 1 + max((answer.seed for answer in turn.answers), default=self.seed - 1)
        outlook = self._outlook(turn.question, turn.parent)
        sampling = replace(self.sampling, samples=count)
        ran = run_turn(self.engine, replace(outlook.request, sampling=sampling, seed=seed), show)
        self._keep(turn, saved_answers(ran, first_row=len(turn.answers)), ran.stats)
        self.seed = max(self.seed, seed + count)
        return ran

    def go_on(self, row: int, show: Show) -> Turn:
        """Lengthens an answer that was cut; the turn's one answer has its whole text.

        It goes on with its own seed, as if it had not been cut. UsageError if it came to its own
        end or is another model's.
        """
        turn, answer = self.current_turn(), self.answer(row)
        if answer.finish_reason not in ("length", "interrupted", "loop"):
            raise UsageError("continue_whole", number=row + 1)
        if not answer.token_ids or turn.profile != self.profile:
            raise UsageError("continue_foreign", number=row + 1, name=turn.profile)
        outlook = self._outlook(turn.question, turn.parent, begun=answer.token_ids)
        sampling = replace(self.sampling, samples=1)
        request = replace(outlook.request, sampling=sampling, seed=answer.seed)
        ran = run_turn(self.engine, request, show)
        (longer,) = saved_answers(ran)
        if longer.token_ids and len(longer.token_ids) > len(answer.token_ids):
            longer = replace(longer, row=row, picked=answer.picked)
            self._keep(turn, (longer,), ran.stats)
        return ran

    def outlook(self, question: str) -> Outlook:
        """What `question` would be sent as now. ContextError if it does not fit even alone."""
        return self._outlook(question, self.place)

    def outlook_again(self) -> Outlook:
        """What the current question would be sent as now."""
        turn = self.current_turn()
        return self._outlook(turn.question, turn.parent)

    def folds_system(self) -> bool:
        """Whether the format has no words for a system text, which then joins the first question.

        Some formats refuse one, others would drop it in silence.
        """
        asked = (Message("user", "?"),)
        told = (Message("system", self.system or "?"), *asked)
        try:
            return self._ids(told) == self._ids(asked)
        except UsageError:
            return True

    # the tree

    def current_turn(self) -> SavedTurn:
        """UsageError if nothing was asked yet."""
        if self.current is None:
            raise UsageError("nothing_asked")
        return self.turns[self.current]

    def answer(self, row: int) -> SavedAnswer:
        """An answer of the current turn. UsageError if there is none of that row."""
        answers = self.current_turn().answers
        if not 0 <= row < len(answers):
            raise UsageError("no_such_answer", number=row + 1, count=len(answers))
        return answers[row]

    def pick(self, row: int) -> None:
        """Makes an answer of the current turn the one that the next question follows."""
        turn = self.current_turn()
        if not self.answer(row).text.strip():
            raise UsageError("answer_empty", number=row + 1)
        answers = tuple(replace(a, picked=a.row == row) for a in turn.answers)
        self.turns[turn.id] = replace(turn, answers=answers)
        self.place = AnswerKey(turn.id, row)
        self.recorder.pick(self.place)

    def go_to(self, place: AnswerKey | None) -> None:
        """The next question follows `place`; None is the start."""
        self.place = place
        self.current = place.turn if place else None
        self.recorder.go_to(place)

    def undo(self, count: int) -> int:
        """Goes back by `count` questions, at most to the start; by how many it went."""
        gone, place = 1, self.current_turn().parent
        while gone < count and place is not None:
            gone, place = gone + 1, self.turns[place.turn].parent
        self.go_to(place)
        return gone

    def restart(self) -> None:
        """Another conversation, with nothing said."""
        self.turns, self.place, self.current = {}, None, None
        self.recorder.leave()

    def load(self, saved: SavedConversation) -> None:
        """Goes on with a saved conversation, where it stood."""
        self.restart()
        self.turns = {turn.id: turn for turn in saved.turns}
        self.place = saved.place
        self.current = saved.place.turn if saved.place else max(self.turns, default=None)
        self.system = self.turns[self.current].system if self.current is not None else None
        self.recorder.conversation = saved.listed.number
        self.recorder.name = saved.listed.name

    def snapshot(self) -> SavedConversation:
        """The tree as the history would give it back. UsageError if nothing was asked yet."""
        turns = tuple(self.turns.values())
        if not turns:
            raise UsageError("nothing_asked")
        listed = Listed(
            self.recorder.conversation or 0, self.recorder.name, turns[0].question, self.profile,
            self.recorder.language, turns[0].asked, turns[-1].asked, len(turns),
        )  # fmt: skip
        return SavedConversation(listed, self.place, turns)

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was said on the way to `place`."""
        return self.snapshot().messages() if self.turns else ()

    def _answer(self, question: str, after: AnswerKey | None, show: Show) -> Turn:
        request = self._outlook(question, after).request
        kept = replace(request, messages=self._told(Message("user", question)))
        self.recorder.place = after
        number = len(self.turns) + 1
        saved = self.recorder.begin(kept, self.profile)
        turn = SavedTurn(
            saved if saved is not None else -number, number, after, question, self.system,
            self.profile, {**asdict(self.sampling), "seed": self.seed}, self.recorder.clock(),
            None, (),
        )  # fmt: skip
        ran = run_turn(self.engine, request, show)
        self._keep(turn, saved_answers(ran), ran.stats)
        self.current = turn.id
        self.place = self.turns[turn.id].picked() if _says_something(ran) else after
        self.seed += self.sampling.samples
        return ran

    def _keep(self, turn: SavedTurn, answers: Sequence[SavedAnswer], stats: Stats | None) -> None:
        """Adds rows to `turn`, or puts longer ones in their places."""
        rows = {answer.row: answer for answer in (*turn.answers, *answers)}
        told = asdict(stats) if stats else turn.stats
        self.turns[turn.id] = replace(
            turn, answers=tuple(rows[row] for row in sorted(rows)), stats=told
        )
        self.recorder.finish(answers, stats, turn.id)

    def _told(self, *said: Message) -> tuple[Message, ...]:
        return (Message("system", self.system), *said) if self.system else said

    def _ids(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return self.engine.prompt(Request(messages, self.sampling, self.seed)).ids

    def _outlook(
        self, question: str, after: AnswerKey | None, begun: tuple[int, ...] = ()
    ) -> Outlook:
        """The newest turns that are remembered and fit, with room for an answer behind them."""
        path = self.snapshot().path(after) if self.turns else []
        said = [(turn.question, a.text.strip()) for turn, a in path if a.text.strip()]
        kept = said if self.memory is None else said[len(said) - min(self.memory, len(said)) :]
        context = self.engine.context_length
        room = context - min(self.sampling.max_new_tokens, context // 2) - len(begun)
        folded = self.system is not None and self.folds_system()
        for left_out in range(len(kept) + 1):
            request = self._request(kept[left_out:], question, begun, folded=folded)
            tokens = self._length(request)
            if tokens <= room:
                break
        self.engine.prompt(request)  # refuses a question that is too long even alone
        sent = len(kept) - left_out
        return Outlook(request, tokens, sent, len(said) - len(kept), left_out)

    def _request(
        self, said: Sequence[tuple[str, str]], question: str, begun: tuple[int, ...], *,
        folded: bool,
    ) -> Request:  # fmt: skip
        texts = [text for pair in said for text in pair] + [question]
        if folded:
            texts[0] = f"{self.system}\n\n{texts[0]}"
        messages = tuple(
            Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)
        )
        if not folded:
            messages = self._told(*messages)
        return Request(messages, self.sampling, self.seed, begun=begun)

    def _length(self, request: Request) -> int:
        try:
            return len(self.engine.prompt(request).ids)
        except ContextError as error:
            return int(str(error.fields["tokens"]))


def _says_something(turn: Turn) -> bool:
    return any(answer.text.strip() for answer in turn.answers)
