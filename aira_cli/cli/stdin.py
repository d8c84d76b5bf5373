"""The prompt: words from the command line, and what comes through stdin behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from aira_cli.environment import is_terminal
from aira_cli.errors import UsageError


def read_prompt(words: Sequence[str], stdin: TextIO | None) -> str:
    """Words joined, then stdin after a blank line; `-` asks for stdin even from a terminal.

    Raises UsageError for an empty prompt and for text that is not UTF-8.
    """
    typed = " ".join(word for word in words if word != "-").strip()
    if not typed.isprintable() and any("\ud800" <= c <= "\udfff" for c in typed):
        raise UsageError("prompt_not_utf8")
    piped = ""
    if stdin is not None and ("-" in words or not is_terminal(stdin)):
        piped = read_utf8(stdin).rstrip("\n")
    parts = [part for part in (typed, piped) if part.strip()]
    if not parts:
        raise UsageError("empty_prompt")
    return "\n\n".join(parts)


def read_utf8(stdin: TextIO) -> str:
    """All of stdin, with any line ends, as text."""
    raw = stdin.buffer.read() if hasattr(stdin, "buffer") else stdin.read().encode()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            "stdin_not_utf8", byte=f"0x{raw[error.start]:02x}", at=error.start
        ) from error
    return text.replace("\r\n", "\n")
