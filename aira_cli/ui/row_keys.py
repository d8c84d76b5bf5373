"""The keys 1 to 9 while answers grow; all else that is typed is kept for the prompt."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import IO, Self


class RowKeys:
    """Reads `terminal` without waiting for Enter; a context manager that puts it back.

    Where the terminal cannot do that, no key is ever pressed and nothing typed is lost.
    """

    def __init__(self, terminal: IO[str], rows: range) -> None:
        self._file = terminal
        self._rows = rows
        self._before: list[int | list[bytes | int]] | None = None
        self._typed = b""

    def __enter__(self) -> Self:
        if sys.platform == "win32":
            return self
        import termios

        try:
            before = termios.tcgetattr(self._file.fileno())
        except (termios.error, io.UnsupportedOperation):
            return self
        waiting = termios.tcgetattr(self._file.fileno())
        waiting[0] &= ~termios.ICRNL
        waiting[3] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(self._file.fileno(), termios.TCSANOW, waiting)
        self._before = before
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None and sys.platform != "win32":
            import termios

            self._read()
            termios.tcsetattr(self._file.fileno(), termios.TCSANOW, self._before)
            self._before = None

    def pressed(self) -> list[int]:
        """The rows whose keys were pressed since the last call.

        A digit inside of other text is text.
        """
        fresh = self._read()
        if self._typed[: len(self._typed) - len(fresh)]:
            return []
        rows = []
        while fresh[:1].isdigit() and int(fresh[:1]) - 1 in self._rows:
            rows.append(int(fresh[:1]) - 1)
            fresh = fresh[1:]
        self._typed = fresh
        return rows

    def typed(self) -> str:
        """What was typed for the prompt, as the keys sent it."""
        return self._typed.decode("utf-8", "replace")

    def _read(self) -> bytes:
        fresh = b""
        while self._before is not None and select.select([self._file], [], [], 0)[0]:
            more = os.read(self._file.fileno(), 4096)
            if not more:
                break
            fresh += more
        self._typed += fresh
        return fresh
