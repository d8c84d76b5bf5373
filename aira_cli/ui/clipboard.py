"""The clipboard: through the terminal itself (OSC 52) and through the system's own tools."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Mapping, Sequence

_COPY = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    (None, ("pbcopy",)),
    (None, ("clip.exe",)),
)
_PASTE = (
    ("WAYLAND_DISPLAY", ("wl-paste", "--no-newline")),
    ("DISPLAY", ("xclip", "-selection", "clipboard", "-o")),
    ("DISPLAY", ("xsel", "--clipboard", "--output")),
    (None, ("pbpaste",)),
    (None, ("powershell.exe", "-NoProfile", "-Command", "Get-Clipboard")),
)
_SECONDS = 5.0


def osc52(text: str) -> str:
    """The code that asks the terminal, even a distant one, to put `text` on its clipboard."""
    return f"\x1b]52;c;{base64.b64encode(text.encode('utf-8', 'replace')).decode()}\x07"


def copy(text: str, variables: Mapping[str, str]) -> bool:
    """Whether a tool of the system took `text`."""
    return any(_run(c, text) is not None for c in _found(_COPY, variables))


def pasted(variables: Mapping[str, str]) -> str | None:
    """What the system's clipboard holds; None if no tool tells."""
    texts = (_run(command, "") for command in _found(_PASTE, variables))
    return next((text for text in texts if text is not None), None)


def _found(
    tools: Sequence[tuple[str | None, tuple[str, ...]]], variables: Mapping[str, str]
) -> list[tuple[str, ...]]:
    return [
        command
        for needed, command in tools
        if (needed is None or variables.get(needed)) and shutil.which(command[0])
    ]


def _run(command: tuple[str, ...], text: str) -> str | None:
    """What `command` says to `text`; None if it fails. It may leave a child that keeps stdout."""
    reads = text == ""
    try:
        ran = subprocess.run(
            command, input=text.encode("utf-8", "replace"), timeout=_SECONDS, check=False,
            stdout=subprocess.PIPE if reads else subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (ran.stdout or b"").decode("utf-8", "replace") if ran.returncode == 0 else None
