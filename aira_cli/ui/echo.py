"""Typing while nobody asked for it: it does not show, and waits for whoever reads next.

An echo would shift what is painted; and Enter stays what the key sends, since a terminal that
made a new line of it would hide from the prompt that a line was sent.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

Flags = list[int | list[bytes | int]]


class Echo:
    """The terminal's echo, which can be put off and back. Nothing typed is lost."""

    def __init__(self, terminal: IO[str]) -> None:
        self._file = terminal
        self._before: Flags | None = None

    def off(self) -> None:
        if self._before is None:
            self._before = _changed(self._file, _silence)

    def back(self) -> None:
        if self._before is not None:
            _set(self._file, self._before)
            self._before = None


@contextmanager
def usual(terminal: IO[str]) -> Iterator[None]:
    """Inside, typing is treated as another program expects it: with echo, in lines."""
    before = _changed(terminal, _restore)
    try:
        yield
    finally:
        if before is not None:
            _set(terminal, before)


def _silence(flags: Flags) -> None:
    import termios

    flags[0] &= ~termios.ICRNL  # type: ignore[operator]
    flags[3] &= ~termios.ECHO  # type: ignore[operator]


def _restore(flags: Flags) -> None:
    import termios

    flags[0] |= termios.ICRNL  # type: ignore[operator]
    flags[3] |= termios.ECHO | termios.ICANON  # type: ignore[operator]


def _changed(terminal: IO[str], change: Callable[[Flags], None]) -> Flags | None:
    """Changes the flags; what they were before, or None where there is no such terminal."""
    if sys.platform == "win32":
        return None
    import termios

    try:
        before: Flags = termios.tcgetattr(terminal.fileno())
        flags: Flags = termios.tcgetattr(terminal.fileno())
    except (termios.error, io.UnsupportedOperation):
        return None
    change(flags)
    _set(terminal, flags)
    return before


def _set(terminal: IO[str], flags: Flags) -> None:
    if sys.platform != "win32":
        import termios

        termios.tcsetattr(terminal.fileno(), termios.TCSANOW, flags)
