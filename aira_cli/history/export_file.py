"""Writing an export into a file: whole or not at all, for its owner's eyes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from aira_cli.errors import AiraError, UsageError


def write_export(path: Path, text: str, *, force: bool) -> None:
    """`text` at `path`, in UTF-8, mode 0600.

    UsageError if something is there already, unless `force` says to replace it; AiraError if the
    folder or the disk does not take it, and then what was there is still there.
    """
    if os.path.lexists(path) and not force:
        raise UsageError("export_exists", path=path)
    draft = None
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except OSError as error:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)
        raise AiraError("export_unwritable", path=path, reason=error.strerror) from error
