"""What stands behind a command's name: numbers, answers by their number, on and off."""

from __future__ import annotations

from aira_cli.errors import UsageError
from aira_cli.ui.talk import Talk

_ON, _OFF = ("on", "sim", "yes"), ("off", "não", "nao", "no")


def count(words: str, default: int) -> int:
    """A number from 1 on. UsageError for anything else."""
    if not words:
        return default
    if not words.isdecimal() or not 0 < int(words) <= 256:
        raise UsageError("command_number", words=words)
    return int(words)


def answer_row(talk: Talk, words: str) -> int:
    """The row of the answer of that number; of the one that counts, if no number was given."""
    turn = talk.conversation.current_turn()
    if not words:
        picked = turn.picked()
        return picked.row if picked else 0
    row = count(words, 1) - 1
    talk.conversation.answer(row)
    return row


def switch(words: str) -> bool | None:
    """True for on, False for off, None for neither."""
    word = words.lower()
    return True if word in _ON else False if word in _OFF else None


def wanted(words: str) -> str:
    """UsageError if nothing stands behind the command."""
    if not words:
        raise UsageError("command_incomplete")
    return words
