"""Prepared copies as files: their names, what they were made from, which are there.

What is inside is left to `prepared`. Nothing here imports torch: `aira models list` reads the
headers of all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aira_cli.checkpoints.safetensors_header import read_header

if TYPE_CHECKING:
    from aira_cli.checkpoints.open import Checkpoint
    from aira_cli.engine.local.device import Precision

LAYOUT = 2  # goes up with every change of what `prepared` writes or of the layout of strips
TOKENIZER_LAYOUT = 1  # of how tokenizers are read, shielded and written (prompts)

#: Below the cache folder: what the first load of a model writes for the next ones.
PREPARED = "prepared"

SUFFIX = ".safetensors"
TOKENIZER_SUFFIX = ".tokenizer"
_LAYOUTS = {SUFFIX: LAYOUT, TOKENIZER_SUFFIX: TOKENIZER_LAYOUT}


@dataclass(frozen=True)
class Copy:
    """Where the prepared copy of a checkpoint in one number format, or of its tokenizer, lies or
    would lie."""

    path: Path
    identity: str

    @classmethod
    def of(cls, checkpoint: Checkpoint, precision: Precision, folder: Path) -> Copy:
        files = [_fingerprint(file) for file in checkpoint.files]
        identity = json.dumps([LAYOUT, files, precision.weights, str(precision.dtype)])
        return cls(folder / f"{checkpoint.path.stem}-{_digest(identity)}{SUFFIX}", identity)

    @classmethod
    def of_tokenizer(cls, path: Path, folder: Path) -> Copy:
        """Of what lies at `path`: a GGUF file, or a folder, all of whose small files count."""
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files = [file for file in inside if file.suffix != ".safetensors" and file.is_file()]
        identity = json.dumps([TOKENIZER_LAYOUT, [_fingerprint(file) for file in files]])
        return cls(folder / f"{path.stem}-{_digest(identity)}{TOKENIZER_SUFFIX}", identity)


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


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
    found = (path for path in folder.glob("*") if path.suffix in _LAYOUTS)
    return [_kept(path) for path in sorted(found)]


def _kept(path: Path) -> Kept:
    nbytes = path.stat().st_size
    try:
        layout, fingerprints, *_ = json.loads(_identity(path))
        files = frozenset(Path(name) for name, _, _ in fingerprints)
        stale = layout != _LAYOUTS[path.suffix] or not _are_unchanged(fingerprints)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Kept(path, nbytes, frozenset(), stale=True)  # damaged: the next load rewrites it
    return Kept(path, nbytes, files, stale)


def _identity(path: Path) -> str:
    if path.suffix == TOKENIZER_SUFFIX:
        with path.open("rb") as file:
            return str(json.loads(file.readline())["identity"])
    return str(json.loads(read_header(path)["__metadata__"]["aira"])["identity"])


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


def remove_stale(folder: Path) -> None:
    """Deletes the copies that no load will use again, where that is allowed."""
    with suppress(OSError):
        remove_copies(copy for copy in kept_copies(folder) if copy.stale)


def remove_copies(copies: Iterable[Kept]) -> int:
    """Deletes them; the bytes that were freed. A process that has one mapped keeps it."""
    freed = 0
    for copy in copies:
        copy.path.unlink(missing_ok=True)
        freed += copy.nbytes
    return freed
