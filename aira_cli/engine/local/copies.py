"""Prepared copies as files: their names, what they were made from, which are there.

What is inside is left to `prepared`. Nothing here imports torch: `aira models list` reads the
headers of all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aira_cli.checkpoints.safetensors_header import read_header

if TYPE_CHECKING:
    from aira_cli.checkpoints.open import Checkpoint
    from aira_cli.engine.local.device import Precision

LAYOUT = 1  # goes up with every change of what `prepared` writes or of the layout of strips

#: Below the cache folder: what the first load of a model writes for the next ones.
PREPARED = "prepared"

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Copy:
    """Where the prepared copy of a checkpoint in one number format lies, or would lie."""

    path: Path
    identity: str

    @classmethod
    def of(cls, checkpoint: Checkpoint, precision: Precision, folder: Path) -> Copy:
        files = [_fingerprint(file) for file in checkpoint.files]
        identity = json.dumps([LAYOUT, files, precision.weights, str(precision.dtype)])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return cls(folder / f"{checkpoint.path.stem}-{digest}{SUFFIX}", identity)


def _fingerprint(file: Path) -> list[str | int]:
    status = file.stat()
    return [str(file.resolve()), status.st_size, status.st_mtime_ns]


@dataclass(frozen=True)
class Kept:
    """A prepared copy on the disk. It is stale if no load will use it again.

    `files` are those it was made from, none if its header says nothing that can be read.
    """

    path: Path
    nbytes: int
    files: frozenset[Path]
    stale: bool


def kept_copies(folder: Path) -> list[Kept]:
    """All prepared copies in `folder`, which need not exist, by name."""
    return [_kept(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def _kept(path: Path) -> Kept:
    nbytes = path.stat().st_size
    try:
        own = json.loads(read_header(path)["__metadata__"]["aira"])
        layout, fingerprints, *_ = json.loads(own["identity"])
        files = frozenset(Path(name) for name, _, _ in fingerprints)
        stale = layout != LAYOUT or not _are_unchanged(fingerprints)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Kept(path, nbytes, frozenset(), stale=True)  # damaged: the next load rewrites it
    return Kept(path, nbytes, files, stale)


def _are_unchanged(fingerprints: Iterable[list[str | int]]) -> bool:
    """Whether the files are still what they were."""
    try:
        return all(_fingerprint(Path(str(known[0]))) == known for known in fingerprints)
    except OSError:
        return False


def copies_of(checkpoint: Path, copies: Iterable[Kept]) -> list[Kept]:
    """Those of `copies` that were made from the checkpoint at this path, changed since or not."""
    inside = checkpoint.iterdir() if checkpoint.is_dir() else [checkpoint]
    files = {file.resolve() for file in inside}
    return [copy for copy in copies if copy.files & files]


def remove_copies(copies: Iterable[Kept]) -> int:
    """Deletes them; the bytes that were freed. A process that has one mapped keeps it."""
    freed = 0
    for copy in copies:
        copy.path.unlink(missing_ok=True)
        freed += copy.nbytes
    return freed
