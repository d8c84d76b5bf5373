"""The commands of the chat: one registry gives dispatch, help and the nearest name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

Action = Literal["help", "new", "exit"]


@dataclass(frozen=True)
class Command:
    """A command under its Portuguese and English names; `help_key` says what it does."""

    action: Action
    names: tuple[str, ...]

    @property
    def help_key(self) -> str:
        return f"chat.{self.action}"


COMMANDS = (
    Command("help", ("/ajuda", "/help")),
    Command("new", ("/nova", "/new")),
    Command("exit", ("/sair", "/exit", "/quit")),
)

_BY_NAME = {name: command for command in COMMANDS for name in command.names}


def find_command(line: str) -> Command | None:
    """The command a line begins with, by its exact first word."""
    return _BY_NAME.get(line.split()[0]) if line.strip() else None


def nearest_command(line: str) -> str:
    """The known name that looks most like the line's first word."""
    near = difflib.get_close_matches(line.split()[0], _BY_NAME, n=1, cutoff=0)
    return near[0]
