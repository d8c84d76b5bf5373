"""What the hub client's own cache holds of a repository, read from the disk alone.

The layout is the client's documented one, shared with every other program that uses it:
models--ORG--NAME/refs/REVISION names a commit, snapshots/COMMIT/ has its files.
"""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

from aira_cli.sources import hub_files
from aira_cli.sources.disk import size_on_disk
from aira_cli.types import HubSource

_COMMIT = re.compile(r"[0-9A-Za-z]{4,64}")


def cache_root() -> Path:
    with warnings.catch_warnings():  # the client comments on deprecated variables at import
        warnings.simplefilter("ignore")
        from huggingface_hub import constants
    return Path(constants.HF_HUB_CACHE)


def repository_folder(source: HubSource) -> Path:
    return cache_root() / "--".join(["models", *source.hub.split("/")])


def find(source: HubSource, *, weights: bool = True) -> Path | None:
    """The snapshot folder or GGUF file when all of it is there, else None.

    A `source` without a file whose repository has several GGUF files is found by the one that
    is cached. A cache that cannot be read holds nothing.
    """
    try:
        snapshot = _snapshot(source)
        if snapshot is None:
            return None
        if source.file is not None:
            return snapshot / source.file if (snapshot / source.file).is_file() else None
        names = _names(snapshot)
        small = hub_files.has_config(names) and (
            hub_files.has_tokenizer(names) or _no_tokenizer_mark(source, snapshot.name).is_file()
        )
        if small and (not weights or _has_weights(snapshot, names)):
            return snapshot
        files = hub_files.gguf_files(names)
        lone = len(files) == 1 and hub_files.model_weights(names) is None
        return snapshot / files[0] if lone else None
    except OSError:
        return None


def find_adapter(source: HubSource) -> Path | None:
    """The snapshot folder when an adapter's files are there, else None."""
    try:
        snapshot = _snapshot(source)
        if snapshot is None:
            return None
        whole = all((snapshot / name).is_file() for name in hub_files.ADAPTER_FILES)
        return snapshot if whole else None
    except OSError:
        return None


def mark_no_tokenizer(source: HubSource, commit: str) -> None:
    """Records that the repository has none at `commit`, so that nobody asks for it again.

    The mark is the client's own for a file that it was told does not exist.
    """
    mark = _no_tokenizer_mark(source, commit)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _no_tokenizer_mark(source: HubSource, commit: str) -> Path:
    return repository_folder(source) / ".no_exist" / commit / "tokenizer.json"


def size(source: HubSource) -> int:
    """Bytes on disk of the repository, all its revisions and unfinished downloads included."""
    return size_on_disk(repository_folder(source))


def remove(source: HubSource) -> int:
    """Delete the repository from the cache; the bytes that were freed.

    The client's own deletion comes first: it knows which blobs other repositories share.
    """
    from huggingface_hub import scan_cache_dir

    folder = repository_folder(source)
    freed = size_on_disk(folder)
    if not folder.is_dir():
        return 0
    report = scan_cache_dir(cache_root())
    found = (repo for repo in report.repos if Path(repo.repo_path).name == folder.name)
    commits = [revision.commit_hash for repo in found for revision in repo.revisions]
    if commits:
        report.delete_revisions(*commits).execute()
    if folder.is_dir():  # downloads that never became a revision
        shutil.rmtree(folder)
    return freed


def _snapshot(source: HubSource) -> Path | None:
    folder = repository_folder(source)
    reference = folder / "refs" / source.revision
    commit = reference.read_text().strip() if reference.is_file() else source.revision
    if not _COMMIT.fullmatch(commit):
        return None
    snapshot = folder / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _names(snapshot: Path) -> set[str]:
    files = (path for path in snapshot.rglob("*") if path.is_file())
    return {path.relative_to(snapshot).as_posix() for path in files}


def _has_weights(snapshot: Path, names: set[str]) -> bool:
    chosen = hub_files.model_weights(names)
    if chosen != hub_files.INDEX:
        return chosen is not None
    shards = hub_files.shards_of(snapshot / chosen)
    return shards is not None and names.issuperset(shards)
