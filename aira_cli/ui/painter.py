"""A region at the bottom of the terminal that is painted again and again, and then goes away.

Rich's Live keeps its place by counting the lines it wrote, which is wrong once the window got
narrower and the terminal broke those lines anew; this one counts them at the present width.
"""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.control import Control
from rich.segment import ControlType, Segment


class Painter:
    """Paints on `console`; `erase` leaves the terminal as it was before the first `paint`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths: list[int] = []  # cells of each line that is on the screen

    def paint(self, content: RenderableType) -> None:
        """Replaces what was painted before. `content` must be lower than the window."""
        lines = self._console.render_lines(content, pad=False)
        self.erase()
        self._console.show_cursor(False)
        for line in lines:
            self._console.print(_Line(line), end="\n", soft_wrap=True)
        self._widths = [Segment.get_line_length(line) for line in lines]

    def erase(self) -> None:
        """Takes away what was painted and gives the cursor back."""
        if self._widths:
            width = max(self._console.width, 1)
            rows = sum(max(1, -(-cells // width)) for cells in self._widths)
            home = ControlType.CARRIAGE_RETURN
            up = (ControlType.CURSOR_UP, rows)
            self._console.control(Control(home, up))
            self._console.file.write("\x1b[0J")
            self._widths = []
        self._console.show_cursor(True)


class _Line:
    """Segments that were laid out already, as something a console can print."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments

    def __rich_console__(self, console: Console, options: object) -> list[Segment]:
        return self._segments
