"""Typing that does not show while something is painted where it would show."""

from __future__ import annotations

import io
import sys
from typing import IO


class Echo:
    """The terminal's echo: what is typed while a region is painted would shift its lines.

    Nothing typed is lost; whoever reads the terminal next finds it.
    """

    def __init__(self, terminal: IO[str]) -> None:
        self._file = terminal
        self._before: list[int | list[bytes | int]] | None = None

    def off(self) -> None:
        if self._before is not None or sys.platform == "win32":
            return
        import termios

        try:
            self._before = termios.tcgetattr(self._file.fileno())
        except (termios.error, io.UnsupportedOperation):
            return
        quiet = termios.tcgetattr(self._file.fileno())
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(self._file.fileno(), termios.TCSANOW, quiet)

    def back(self) -> None:
        if self._before is not None and sys.platform != "win32":
            import termios

            termios.tcsetattr(self._file.fileno(), termios.TCSANOW, self._before)
            self._before = None
