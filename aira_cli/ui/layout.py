"""A turn of the chat on the screen: stacked or side by side, growing and then whole.

Whole answers show Markdown, why they ended and their seeds; equal ones are shown once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Literal, Self

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aira_cli.session import Answer
from aira_cli.types import Chunk
from aira_cli.ui.painter import Painter
from aira_cli.ui.render import tail
from aira_cli.ui.style import Labels

Layout = Literal["auto", "stacked", "columns"]
LAYOUTS: tuple[Layout, ...] = ("auto", "stacked", "columns")

_FRAME_SECONDS = 1 / 12
_READABLE = 50  # cells of a column from which on it is nicer than a stack
_NARROWEST = 20
_GAP = 2

_MARKDOWN = re.compile(
    r"^(#{1,6} |\s{0,3}[-*+] |\s{0,3}\d+[.)] |```|> |\|.*\|)|\*\*\S|`[^`\n]+`", re.MULTILINE
)
# What Markdown would take for HTML, and drop.
_HTML = re.compile(r"<[A-Za-z/!?]")


class ChatView:
    """Shows the rows of one turn; those of the engine's request count from `first_row`."""

    def __init__(
        self, console: Console, labels: Labels, layout: Layout, *, samples: int, first_row: int = 0
    ) -> None:
        self._console = console
        self._labels = labels
        self._layout = layout
        self._answers = [Answer(first_row + row, seed=0) for row in range(samples)]
        self._painter = None if console.is_dumb_terminal else Painter(console)
        self._painted = 0.0

    def __enter__(self) -> Self:
        self._console.print()
        self._paint()
        return self

    def __exit__(self, *_: object) -> None:
        if self._painter:
            self._painter.erase()

    def show(self, chunk: Chunk) -> None:
        """One chunk as it comes."""
        self._answers[chunk.row].add(chunk)
        if time.monotonic() - self._painted >= _FRAME_SECONDS:
            self._paint()

    def finish(self, answers: Sequence[Answer]) -> None:
        """The whole answers, complete or interrupted, with their rows as they are numbered."""
        groups = _equal(answers)
        if side_by_side(self._layout, len(groups), self._console.width):
            blocks = [self._block(group) for group in groups]
            self._console.print(_columns(blocks, self._console.width))
            return
        apart = any("\n" in answer.text.strip() for answer in answers)
        for index, group in enumerate(groups):
            if apart and index:
                self._console.print()
            self._console.print(self._block(group))

    def _block(self, group: Sequence[Answer]) -> RenderableType:
        label = Text(self._labels.merged([answer.row for answer in group]), style="bold cyan")
        text, facts = group[0].text.strip(), Text(self._labels.facts(group), style="dim")
        if is_markdown(text):
            body = Markdown(_hard_breaks(text), hyperlinks=False)
            return Group(label, Padding(body, (0, 0, 0, 2)), facts)
        if text:
            label.append(f" {text}", style="default not bold")
        label.append(" ", style="default not bold").append_text(facts)
        return label

    def _paint(self) -> None:
        if self._painter is None:
            return
        self._painted = time.monotonic()
        room, width = max(self._console.height - 2, 1), self._console.width
        console, labels = self._console, self._labels
        if side_by_side(self._layout, len(self._answers), width):
            cells = _column_width(len(self._answers), width)
            tails = [tail(console, labels, answer, room, cells) for answer in self._answers]
            self._painter.paint(_columns(tails, width))
            return
        shown = self._answers[:room]
        share = room // len(shown)
        self._painter.paint(Group(*(tail(console, labels, a, share, width) for a in shown)))


def side_by_side(layout: Layout, count: int, width: int) -> bool:
    """Whether `count` answers stand beside each other in a window of `width` cells."""
    least = {"auto": _READABLE, "columns": _NARROWEST}.get(layout)
    return least is not None and count > 1 and _column_width(count, width) >= least


def is_markdown(text: str) -> bool:
    """Whether `text` has marks that Markdown would show better, and nothing that it would drop."""
    return _MARKDOWN.search(text) is not None and _HTML.search(text) is None


def _column_width(count: int, width: int) -> int:
    return (width - _GAP * (count - 1)) // count


def _columns(blocks: Sequence[RenderableType], width: int) -> Table:
    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for _ in blocks:
        # Rich's own overflow puts "…" where a line with an emoji and its last space is too long.
        table.add_column(width=_column_width(len(blocks), width), overflow="fold")
    table.add_row(*blocks)
    return table


def _equal(answers: Sequence[Answer]) -> list[list[Answer]]:
    """The answers with those that say and end the same together, in the order of the first."""
    groups: dict[tuple[str, object], list[Answer]] = {}
    for answer in answers:
        text = answer.text.strip()
        alike = answer.finish_reason if text else answer.row  # of nothing there is nothing twice
        groups.setdefault((text, alike), []).append(answer)
    return list(groups.values())


def _hard_breaks(text: str) -> str:
    """Markdown that keeps the answer's own line breaks, which it would otherwise join."""
    lines, fenced = [], False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        lines.append(line if fenced or fence or not line.strip() else line + "  ")
        fenced ^= fence
    return "\n".join(lines)
