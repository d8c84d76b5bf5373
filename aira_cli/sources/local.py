"""A model that is already on this machine: a folder with a checkpoint or adapter, or a GGUF file.

Whether the files in it can be used is for `checkpoints` to say.
"""

from __future__ import annotations

from pathlib import Path

from aira_cli.errors import AiraError, ModelUnavailable, UsageError
from aira_cli.types import LocalSource


def locate(source: LocalSource) -> Path:
    """The folder or .gguf file, `~` expanded.

    Raises ModelUnavailable when nothing is there or it cannot be read, UsageError for a file
    that is not a GGUF.
    """
    try:
        path = Path(source.path).expanduser()
        if path.is_dir():
            return path
        if path.is_file():
            return _gguf(path)
    except (OSError, RuntimeError) as error:  # no permission, name too long, unknown ~user
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelUnavailable("local_unreadable", path=source.path, reason=reason) from error
    raise ModelUnavailable("local_missing", path=source.path)


def locate_folder(source: LocalSource) -> Path:
    """The folder of an adapter. Raises what `locate` raises, ModelUnavailable for a file."""
    path = locate(source)
    if not path.is_dir():
        raise ModelUnavailable("adapter_no_folder", path=source.path)
    return path


def find(source: LocalSource) -> Path | None:
    """`locate` without the error."""
    try:
        return locate(source)
    except AiraError:
        return None


def _gguf(path: Path) -> Path:
    if path.suffix.lower() != ".gguf":
        raise UsageError("local_not_gguf", path=path)
    return path
