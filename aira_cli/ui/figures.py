"""Tables of figures for `aira bench`: all columns of them, in a terminal, a pipe or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aira_cli.environment import is_terminal
from aira_cli.printable import one_line
from aira_cli.ui.style import console_for


@dataclass(frozen=True)
class FigureTable:
    """`rows` under `heads`, the first column in words, between a title and lines of prose."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[str] = ()


def print_figure_table(stream: TextIO, table: FigureTable, *, markdown: bool) -> None:
    """A pipe gets tab-separated rows, as from the other tables; GitHub's Markdown if asked."""
    if markdown:
        _print_markdown(stream, table)
    elif is_terminal(stream):
        _print_rich(stream, table)
    else:
        rows = ["\t".join(one_line(cell) for cell in row) for row in (table.heads, *table.rows)]
        stream.write("\n".join([table.title, *rows, *table.lines]) + "\n\n")
    stream.flush()


def _print_markdown(stream: TextIO, table: FigureTable) -> None:
    marks = ["---", *["---:"] * (len(table.heads) - 1)]
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in (table.heads, marks, *table.rows)]
    bullets = [f"- {line}" for line in table.lines]
    parts = [f"### {table.title}", "\n".join(rows), "\n".join(bullets)]
    stream.write("\n\n".join(part for part in parts if part) + "\n\n")


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")


def _print_rich(stream: TextIO, table: FigureTable) -> None:
    console = console_for(stream)
    drawn = Table(
        box=SIMPLE_HEAD, header_style="bold", title=Text(table.title), title_justify="left"
    )
    for number, head in enumerate(table.heads):
        drawn.add_column(head, justify="right" if number else "left")
    for row in table.rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(drawn)
    for line in table.lines:
        console.print(Text(line))
    console.print()
