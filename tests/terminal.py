"""A person's terminal: the program in a pseudo-terminal, its screen read by an emulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import pexpect
import pyte

from tests.conftest import Program


class Terminal:
    """Runs `program` with `arguments` in a window; `screen()` is what a person would see."""

    def __init__(
        self, program: Program, arguments: Sequence[str], columns: int = 80, rows: int = 24,
        variables: Mapping[str, str] | None = None, *, answering: bool = False,
    ) -> None:  # fmt: skip
        """`answering`: it says where its cursor is when the program asks, as real ones do."""
        self._screen = pyte.HistoryScreen(columns, rows, history=2000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        asked = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "" if answering else "1"}
        variables = {**program.variables, **asked, **(variables or {})}
        self.child = pexpect.spawn(
            program.command, list(arguments), env=variables, dimensions=(rows, columns), timeout=5
        )
        if answering:
            self._screen.write_process_input = self.child.send

    def read(self, seconds: float = 0.2) -> None:
        """Lets the emulator see what came until nothing comes for `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                data = self.child.read_nonblocking(65536, timeout=0.05)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                return
            self.raw += data
            self._stream.feed(data)
            end = time.monotonic() + seconds

    def until(self, seen: str | Callable[[str], bool], timeout: float = 90) -> str:
        """Waits for a text, or a condition, on the screen; the screen as it then is."""
        wanted = (lambda screen: seen in screen) if isinstance(seen, str) else seen
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.read(0.05)
            if wanted(self.screen()):
                return self.screen()
        raise AssertionError(f"never seen: {seen}\n{self.screen()}")

    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def everything(self) -> str:
        """The screen with all that has scrolled off above it."""
        above = [
            "".join(row[x].data for x in range(self._screen.columns)).rstrip()
            for row in self._screen.history.top
        ]
        return "\n".join([*above, self.screen()])

    def send(self, text: str) -> None:
        self.child.send(text)

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def wait(self) -> int:
        """Reads to the end; the exit code."""
        self.child.expect(pexpect.EOF, timeout=90)
        self._stream.feed(self.child.before or b"")
        self.raw += self.child.before or b""
        self.child.close()
        code: int = self.child.exitstatus if self.child.signalstatus is None else -1
        return code
