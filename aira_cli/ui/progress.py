"""What stands on stderr while a model is fetched and loaded; it goes away by itself."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.spinner import Spinner
from rich.text import Text

from aira_cli.environment import is_terminal
from aira_cli.printable import one_line
from aira_cli.ui.echo import Echo
from aira_cli.ui.style import console_for


class Loading:
    """A spinner with a sentence, and a bar for each file that is being fetched.

    `with Loading(stream, sentence) as loading:` and hand `loading.progress` to the sources.
    Where `stream` is no terminal, or `shown` is false, nothing is written.
    """

    def __init__(self, stream: TextIO, sentence: str, *, shown: bool = True) -> None:
        console = console_for(stream)
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
        )
        lines = Group(Spinner("dots", text=Text(sentence)), self._bars)
        visible = shown and is_terminal(stream) and not console.is_dumb_terminal
        self._live = Live(lines, console=console, transient=True) if visible else None
        self._echo = Echo(stream)

    def __enter__(self) -> Self:
        if self._live:
            self._echo.off()
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._live:
            self._live.stop()
            self._echo.back()

    def progress(self, label: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes of the file called `label`."""
        name = one_line(label, 40)
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)
