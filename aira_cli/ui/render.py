"""Ways of showing a turn: growing in a terminal, as plain text, or as JSON Lines.

Each is used as `with view: run_turn(engine, request, view.show)`, then `view.finish(turn)`.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group
from rich.text import Text

from aira_cli.printable import printable_json
from aira_cli.session import Answer, Turn
from aira_cli.types import Chunk
from aira_cli.ui.painter import Painter
from aira_cli.ui.style import Labels

_FRAME_SECONDS = 1 / 12


class View(Protocol):
    """Shows one turn."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None, /,
    ) -> None: ...  # fmt: skip

    def show(self, chunk: Chunk) -> None:
        """One chunk as it comes."""
        ...

    def finish(self, turn: Turn) -> None:
        """The whole turn, complete or interrupted."""
        ...


class _Quiet:
    """What views without a screen of their own do on entry, exit and chunks: nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, chunk: Chunk) -> None:
        return None


class TextView(_Quiet):
    """One sample into a pipe: its text alone, as it grows, without the blanks around it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._written = 0

    def show(self, chunk: Chunk) -> None:
        self._text += chunk.text
        self._write_rest(self._text)

    def finish(self, turn: Turn) -> None:
        self._write_rest(turn.answers[0].text)
        self._stream.write("\n")
        self._stream.flush()

    def _write_rest(self, text: str) -> None:
        """What of `text` is not out yet. It is counted first: Ctrl-C often follows a write."""
        rest = text.strip()[self._written :]
        self._written += len(rest)
        if rest:
            self._stream.write(rest)
            self._stream.flush()


class NumberedView(_Quiet):
    """The numbered layout as plain text, when all answers are there."""

    def __init__(self, stream: TextIO, labels: Labels) -> None:
        self._stream = stream
        self._labels = labels

    def finish(self, turn: Turn) -> None:
        question = turn.request.messages[-1].text
        lines = [self._labels.question(question), ""]
        lines += [f"{self._labels.answer(a.row)} {a.text.strip()}" for a in turn.answers]
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()


class JsonView(_Quiet):
    """JSON Lines, one object a sample, in the order of the rows."""

    def __init__(self, stream: TextIO, model: str) -> None:
        self._stream = stream
        self._model = model

    def finish(self, turn: Turn) -> None:
        for answer in turn.answers:
            self._stream.write(printable_json(self._row(turn, answer)) + "\n")
        self._stream.flush()

    def _row(self, turn: Turn, answer: Answer) -> dict[str, object]:
        return {
            "model": self._model,
            "prompt": turn.request.messages[-1].text,
            "row": answer.row,
            "text": answer.text,
            "finish_reason": answer.finish_reason,
            "prompt_tokens": turn.stats.prompt_tokens if turn.stats else None,
            "tokens": answer.tokens,
            "seed": answer.seed,
        }


class LiveView:
    """A terminal: all answers grow at once, each in its share of the window.

    While they grow, an answer that is too long for its share shows its end. When they are
    complete they are printed whole, so that the window's memory holds all of them. A `question`
    that the person typed at a prompt stands there already and is left out.
    """

    def __init__(
        self, console: Console, labels: Labels, *, samples: int, growing: bool, question: str = ""
    ) -> None:
        self._console = console
        self._labels = labels
        self._question = question
        self._answers = [Answer(row, seed=0) for row in range(samples)]
        self._painter = Painter(console) if growing else None
        self._painted = 0.0

    def __enter__(self) -> Self:
        if self._question:
            question = Text(self._labels.question(self._question), style="bold")
            self._console.print(question, soft_wrap=True)
        self._console.print()
        self._paint()
        return self

    def __exit__(self, *_: object) -> None:
        if self._painter:
            self._painter.erase()

    def show(self, chunk: Chunk) -> None:
        self._answers[chunk.row].add(chunk)
        if time.monotonic() - self._painted >= _FRAME_SECONDS:
            self._paint()

    def finish(self, turn: Turn) -> None:
        apart = any("\n" in answer.text.strip() for answer in turn.answers)
        for answer in turn.answers:
            if apart and answer.row:
                self._console.print()
            self._console.print(self._labels.answer_text(answer))

    def _paint(self) -> None:
        if self._painter is None:
            return
        room = max(self._console.height - 2, 1)
        shown = self._answers[:room]
        share, width = room // len(shown), self._console.width
        tails = (tail(self._console, self._labels, answer, share, width) for answer in shown)
        self._painter.paint(Group(*tails))
        self._painted = time.monotonic()


def tail(console: Console, labels: Labels, answer: Answer, share: int, width: int) -> Text:
    """The answer's last `share` lines, `width` cells wide, the label always among them."""
    width = max(width, 1)
    whole = labels.answer_text(answer)
    lines = whole.wrap(console, width)
    if len(lines) <= share:
        return Text("\n").join(lines)
    label = Text(labels.answer(answer.row) + " …", style="bold cyan")
    if share == 1:
        label.append(" " + lines[-1].plain, style="default not bold")
        label.truncate(width)
        return label
    return Text("\n").join([label, *list(lines)[len(lines) - share + 1 :]])
