"""Tables for `aira models` and `aira doctor`: Rich in a terminal, plain columns in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aira_cli.environment import is_terminal
from aira_cli.i18n import Translate
from aira_cli.printable import Size, one_line
from aira_cli.ui.style import console_for, decimal

_NARROW = 80  # columns below which a table of many shows the first few
_WIDE = 110  # columns from which on a last column of prose can be read


def print_table(
    stream: TextIO, heads: Sequence[str], rows: Sequence[Sequence[str]], *, prose: bool = True,
    narrow: int | None = None,
) -> None:  # fmt: skip
    """`rows` under `heads`. A pipe gets tab-separated lines, so that cut and awk can read them.

    The first column is never broken; the last one, if it is `prose` that can be done without,
    is left out of a window that is not wide, and all but the first `narrow` columns of a narrow
    one.
    """
    if not is_terminal(stream):
        for row in (heads, *rows):
            stream.write("\t".join(one_line(cell) for cell in row) + "\n")
        stream.flush()
        return
    console = console_for(stream)
    shown = len(heads) - (prose and console.width < _WIDE)
    if narrow is not None and console.width < _NARROW:
        shown = narrow
    table = Table(box=SIMPLE_HEAD, header_style="bold")
    for number, head in enumerate(heads[:shown]):
        table.add_column(head, no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row[:shown]))
    console.print(table)


def print_facts(stream: TextIO, facts: Sequence[tuple[str, str]]) -> None:
    """Names and values, a line each; a terminal breaks long values between words."""
    if is_terminal(stream):
        grid = Table.grid(padding=(0, 2))
        for name, value in facts:
            grid.add_row(Text(one_line(name)), Text(one_line(value, 1000)))
        console_for(stream).print(grid)
        return
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        stream.write(f"{name:{width}}  {one_line(value, 1000)}\n")
    stream.flush()


def size(nbytes: int, t: Translate) -> str:
    """Bytes as a person reads them, in decimal units."""
    return decimal(str(Size(nbytes)), t)
