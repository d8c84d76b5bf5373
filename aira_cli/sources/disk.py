"""Folders that hold what was fetched: their size, the room left, and the disk's refusals."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_cli.errors import AiraError

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP}


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into an `AiraError` that names `folder`."""
    try:
        yield
    except OSError as error:
        translated = disk_error(error, folder)
        if translated is None:
            raise
        raise translated from error


def disk_error(error: OSError, folder: Path) -> AiraError | None:
    """The error to raise for what the disk refused; None when it is not the disk's doing."""
    if error.errno in _FULL:
        return AiraError("disk_full", folder=folder)
    if error.errno in _REFUSED:
        return AiraError("folder_unwritable", folder=folder, reason=error.strerror)
    return None


def require_room(folder: Path, needed: int) -> None:
    """Refuse before the first byte what cannot fit: `needed` bytes below `folder`."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(existing).free < needed:
        raise AiraError("disk_full", folder=folder)


def size_on_disk(folder: Path) -> int:
    """Bytes of the files below `folder`, each counted once however many links lead to it."""
    files = {path.resolve() for path in folder.rglob("*") if path.is_file()}
    return sum(file.stat().st_size for file in files)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
