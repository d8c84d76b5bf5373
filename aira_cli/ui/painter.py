"""A region at the bottom of the terminal that is painted again and again, and then goes away.

Rich's Live keeps its place by counting the lines it wrote, which is wrong once the window got
narrower and the terminal broke those lines anew; this one counts them at the present width.
"""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.segment import Segment, SegmentLines

from aira_cli.ui.echo import Echo

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[2K", "\x1b[0J"


class Painter:
    """Paints on `console`; `erase` leaves the terminal as it was before the first `paint`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths: list[int] = []  # cells of each line that is on the screen
        self._echo = Echo(console.file)

    def paint(self, content: RenderableType) -> None:
        """Replaces what was painted before. `content` must be lower than the window."""
        self._echo.off()
        lines = self._console.render_lines(content, pad=False)
        with self._console.capture() as capture:
            self._console.print(SegmentLines(lines, new_lines=True), end="")
        painted = "".join(f"{_CLEAR_LINE}{line}\n" for line in capture.get().splitlines())
        self._write(f"{_HIDE_CURSOR}{self._home()}{painted}{_CLEAR_BELOW}")
        self._widths = [Segment.get_line_length(line) for line in lines]

    def erase(self) -> None:
        """Takes away what was painted and gives the cursor back."""
        cleared = f"{_CLEAR_LINE}\n" * self._rows()
        self._write(f"{self._home()}{cleared}{self._home()}{_SHOW_CURSOR}")
        self._widths = []
        self._echo.back()

    def _home(self) -> str:
        """From below the painted lines to the first of them.

        Lines are cleared one by one: some terminals keep what is cleared all at once among what
        has scrolled off.
        """
        rows = self._rows()
        return f"\r\x1b[{rows}A" if rows else ""

    def _rows(self) -> int:
        """How many lines of the window the painted ones take at its present width."""
        width = max(self._console.width, 1)
        return sum(max(1, -(-cells // width)) for cells in self._widths)

    def _write(self, codes: str) -> None:
        """One write a frame: nothing flickers between the erasing and the painting."""
        self._console.file.write(codes)
        self._console.file.flush()
