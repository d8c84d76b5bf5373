"""A text in the person's own editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from aira_cli.errors import UsageError

_USUAL = ("nano", "vim", "vi", "notepad")


def edited(text: str, variables: Mapping[str, str]) -> str:
    """`text` as it is after $VISUAL, $EDITOR or a usual editor ended. UsageError without one."""
    command = editor(variables)
    handle, name = tempfile.mkstemp(prefix="aira-", suffix=".md")
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        ran = subprocess.run([*command, name], check=False)
        changed = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError("editor_fails", command=command[0], reason=error.strerror) from error
    finally:
        path.unlink(missing_ok=True)
    if ran.returncode:
        raise UsageError("editor_fails", command=command[0], reason=ran.returncode)
    return changed.rstrip("\n")


def editor(variables: Mapping[str, str]) -> list[str]:
    """The command that edits, without the file. UsageError if there is none."""
    chosen = variables.get("VISUAL") or variables.get("EDITOR") or ""
    try:
        command = shlex.split(chosen)
    except ValueError as error:
        raise UsageError("editor_fails", command=chosen, reason=error) from error
    command = command or [name for name in _USUAL if shutil.which(name)][:1]
    if not command:
        raise UsageError("editor_none")
    return command
