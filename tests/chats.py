"""A chat with a tiny model in a pseudo-terminal: opening it, saying something, what it recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Program
from tests.terminal import Terminal

CONTROL_C, CONTROL_D, CONTROL_G, CONTROL_L, CONTROL_R = "\x03", "\x04", "\x07", "\x0c", "\x12"
UP = "\x1b[A"

MARKS = {"Pergunta: 👤", "Question: 👤", "Pergunta: >", "Question: >"}

Opened = Callable[..., Terminal]


def opener(program: Program, model: Path) -> Opened:
    """Without our kernels: what computes is not the subject, and they may have to be compiled."""

    def opened(
        *flags: str, columns: int = 100, rows: int = 100, answering: bool = False,
        **variables: str,
    ) -> Terminal:  # fmt: skip
        arguments = ["chat", "-m", str(model), "-q", "--seed", "1", "--max-new-tokens", "12"]
        variables = {"AIRA_KERNELS": "torch", **variables}
        terminal = Terminal(
            program, [*arguments, *flags], columns, rows, variables, answering=answering
        )
        terminal.until(lambda s: "Ctrl-D" in s and MARKS & {x.strip() for x in s.split("\n")}, 30)
        return terminal

    return opened


def prompts(screen: str) -> int:
    return sum(screen.count(mark) for mark in MARKS)


def say(terminal: Terminal, line: str) -> str:
    """Sends a line; what the screen shows below it when the next prompt is there."""
    before = terminal.screen()
    start = max(len(before) - 20, 0)
    terminal.send(line + "\r")
    typed = line.split("\n")[0][:30].strip()
    terminal.until(lambda s: typed in s[start:] and prompts(s) > prompts(before), 20)
    return terminal.screen()[len(before) :]


def leave(terminal: Terminal) -> None:
    terminal.send(CONTROL_D)
    assert terminal.wait() == 0


def database(program: Program) -> Path:
    return Path(program.variables["HOME"]) / ".local" / "share" / "aira" / "history.db"


def rows(program: Program, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(database(program)) as connection:
        return connection.execute(query).fetchall()
