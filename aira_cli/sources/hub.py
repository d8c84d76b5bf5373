"""A model on a hub: its files are fetched into huggingface_hub's own cache, or found there.

The cache is asked first and without a network. All files come from one commit; the small ones
come before the weights, the weights' SHA-256 is checked, and only then is the revision's name
recorded, so that what a cut download left behind is not taken for a whole model.
"""

from __future__ import annotations

from pathlib import Path

from aira_cli.errors import CheckpointError, ModelUnavailable, UsageError
from aira_cli.sources import hub_cache, hub_client, hub_files
from aira_cli.sources.disk import disk_errors, require_room, sha256_of
from aira_cli.sources.hub_client import Listing
from aira_cli.sources.progress import Progress, Tally
from aira_cli.types import HubSource


def fetch(source: HubSource, *, offline: bool, progress: Progress, weights: bool) -> Path:
    """The snapshot folder, or the GGUF file, complete in the client's cache.

    Raises UsageError, CheckpointError for a repository that cannot be used, ModelUnavailable
    when the hub does not give it, AiraError when the disk does not take it.
    """
    hub_files.check_names(source)
    cached = hub_cache.find(source, weights=weights)
    if cached is not None:
        return cached
    _require_hub(source, offline)
    with hub_client.quiet():
        return _fetch(source, progress, weights)


def fetch_adapter(source: HubSource, *, offline: bool, progress: Progress) -> Path:
    """The snapshot folder with an adapter's two files. Raises what `fetch` raises."""
    if source.file is not None:
        raise UsageError("adapter_hub_file", repo=source.hub, file=source.file)
    hub_files.check_names(source)
    cached = hub_cache.find_adapter(source)
    if cached is not None:
        return cached
    _require_hub(source, offline)
    with hub_client.quiet():
        listing = hub_client.list_files(source)
        hub_files.require_adapter(source.hub, listing.files)
        return _fetch_all(source, listing, list(hub_files.ADAPTER_FILES), progress)[0].parent


def _require_hub(source: HubSource, offline: bool) -> None:
    if offline or hub_client.offline_by_environment():
        raise ModelUnavailable("hub_offline", repo=source.hub)
    hub_client.endpoint()  # first, because the client's import fails on an odd HF_ENDPOINT


def _fetch(source: HubSource, progress: Progress, weights: bool) -> Path:
    listing = hub_client.list_files(source)
    lead = _leading_file(source, listing)
    if lead.lower().endswith(".gguf"):
        return _fetch_all(source, listing, [lead], progress)[0]
    files = list(hub_files.small_files(listing.files))
    if weights:
        files += _weight_files(source, listing, lead)
    return _fetch_all(source, listing, files, progress)[0].parent


def _leading_file(source: HubSource, listing: Listing) -> str:
    if source.file is None:
        return hub_files.choose_weights(source.hub, listing.files)
    _require(source, listing, source.file)
    return source.file


def _weight_files(source: HubSource, listing: Listing, lead: str) -> list[str]:
    """`lead` itself, or the index it is with exactly the shards that it names."""
    if lead != hub_files.INDEX:
        return [lead]
    shards = hub_files.shards_of(hub_client.download(source, lead, listing.commit))
    if shards is None:
        raise CheckpointError("hub_bad_index", repo=source.hub, file=lead)
    for shard in shards:
        _require(source, listing, shard)
    return [lead, *shards]


def _require(source: HubSource, listing: Listing, file: str) -> None:
    if file not in listing.files:
        where = {"repo": source.hub, "endpoint": hub_client.endpoint()}
        raise ModelUnavailable("hub_file_missing", **where, file=file)


def _fetch_all(
    source: HubSource, listing: Listing, files: list[str], progress: Progress
) -> list[Path]:
    """Fetch `files` in their order, check them, then record which commit the revision is."""
    sizes = [listing.files[file].size for file in files]
    known = [size for size in sizes if size is not None]
    whole = len(known) == len(sizes)
    snapshot = hub_cache.repository_folder(source) / "snapshots" / listing.commit
    missing = [file for file in files if not (snapshot / file).is_file()]
    require_room(hub_cache.cache_root(), sum(listing.files[file].size or 0 for file in missing))
    tally = Tally(progress, source.hub, sum(known) if whole else None)
    paths = []
    for position, file in enumerate(files, start=1):
        path = hub_client.download(source, file, listing.commit, tally)
        _verify(path, listing, file, source)
        paths.append(path)
        if whole:
            tally.settle(sum(known[:position]))
    if not hub_files.has_tokenizer(listing.files):
        with disk_errors(snapshot):
            hub_cache.mark_no_tokenizer(source, listing.commit)
    if source.revision != listing.commit:
        hub_client.download(source, files[0], source.revision)
    return paths


def _verify(path: Path, listing: Listing, file: str, source: HubSource) -> None:
    """Compare with the SHA-256 the hub announced; what differs is deleted, blob and link."""
    expected = listing.files[file].sha256
    if expected is None or sha256_of(path) == expected:
        return
    while path.is_symlink():
        link, path = path, path.parent / path.readlink()
        link.unlink()
    path.unlink()
    raise ModelUnavailable("hub_damaged", repo=source.hub, file=file)
