"""huggingface_hub as we use it: silent, its progress as a count, its failures as our errors.

Everything is imported inside the functions, because the client costs half a second and reads
HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN by itself.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aira_cli.errors import AiraError, ModelUnavailable, UsageError
from aira_cli.printable import one_line
from aira_cli.sources.disk import disk_error
from aira_cli.sources.hub_cache import cache_root
from aira_cli.sources.progress import Tally
from aira_cli.types import HubSource

_LISTING_SECONDS = 10.0


@dataclass(frozen=True)
class RemoteFile:
    """A file the hub has: its size in bytes and, for large files, the SHA-256 it must have."""

    name: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """A repository at one commit."""

    commit: str
    files: dict[str, RemoteFile]


def endpoint() -> str:
    """The hub's address; UsageError when HF_ENDPOINT is no web address."""
    from huggingface_hub import constants

    address: str = constants.ENDPOINT
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError("hub_bad_endpoint", endpoint=address)
    return address


def offline_by_environment() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the client's own log lines and warnings off stderr."""
    from huggingface_hub.utils import logging as client_logging

    level = client_logging.get_verbosity()
    client_logging.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        client_logging.set_verbosity(level)


def list_files(source: HubSource) -> Listing:
    """Ask the hub for the repository's files at `source.revision`."""
    from huggingface_hub import HfApi

    address = endpoint()
    try:
        found = HfApi().model_info(
            source.hub, revision=source.revision, files_metadata=True, timeout=_LISTING_SECONDS
        )
        names = {file.rfilename: _remote(file) for file in found.siblings or ()}
        return Listing(commit=str(found.sha), files=names)
    except (transport_error(), OSError) as error:
        raise _translate(error, source, None) from error
    except (ValueError, KeyError, TypeError) as error:  # the answer is not what a hub says
        reason = one_line(str(error))
        raise ModelUnavailable("hub_not_a_hub", endpoint=address, reason=reason) from error


def download(source: HubSource, file: str, revision: str, tally: Tally | None = None) -> Path:
    """Put one file into the client's cache and return its path there."""
    from huggingface_hub import hf_hub_download

    try:
        bar = None if tally is None else _bar_class(tally)
        return Path(hf_hub_download(source.hub, file, revision=revision, tqdm_class=bar))
    except (transport_error(), OSError, RuntimeError) as error:  # hf_xet raises RuntimeError
        raise _translate(error, source, file) from error


def transport_error() -> type[BaseException]:
    """The root of the HTTP library's errors: httpx's or httpx2's, by the client's version."""
    from huggingface_hub.errors import HfHubHTTPError

    root: type[BaseException] = HfHubHTTPError.__bases__[0]
    return root


def reason_of(error: BaseException) -> str:
    """What an error says, in a line, without the number of a system error."""
    said = re.sub(r"^\[Errno -?\d+\] ", "", str(error))
    return one_line(said) or type(error).__name__


def _remote(sibling: Any) -> RemoteFile:
    lfs = sibling.lfs
    size = sibling.size if lfs is None else lfs.size
    return RemoteFile(sibling.rfilename, size, None if lfs is None else str(lfs.sha256).lower())


def _bar_class(tally: Tally) -> type:
    """A progress bar class as the client wants it, which draws nothing and counts bytes."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, count: float | None = 1) -> None:
            tally.add(int(count or 0))

        # The client counts bytes on the wire apart when a bar can tell them: these are not ours.
        def update_transfer(self, count: float | None = 1) -> None: ...

        def set_transfer_postfix_str(self, *args: Any, **options: Any) -> None: ...

    return Bar


def _translate(error: BaseException, source: HubSource, file: str | None) -> AiraError:
    """Our error for a failure of the client while listing (`file` None) or fetching `file`."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return _translate(error.__cause__, source, file)
    where = {"repo": source.hub, "endpoint": endpoint()}
    if isinstance(error, errors.OfflineModeIsEnabled):
        return ModelUnavailable("hub_offline", repo=source.hub)
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error, source, file)
    if isinstance(error, errors.FileMetadataError):
        return ModelUnavailable("hub_not_a_hub", endpoint=endpoint(), reason=reason_of(error))
    if isinstance(error, OSError) and (refused := disk_error(error, cache_root())):
        return refused
    if "os error 28" in str(error):  # hf_xet tells a full disk only in words
        return AiraError("disk_full", folder=cache_root())
    if file is None:
        return ModelUnavailable("hub_unreachable", **where, reason=reason_of(error))
    return ModelUnavailable("hub_interrupted", **where, file=file, reason=reason_of(error))


def _refusal(error: Any, source: HubSource, file: str | None) -> AiraError:
    """Our error for an answer with an HTTP error status."""
    from huggingface_hub import errors

    status = error.response.status_code
    where = {"repo": source.hub, "endpoint": endpoint()}
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return ModelUnavailable("hub_gated", **where)
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelUnavailable("hub_no_revision", **where, revision=source.revision)
    if file is not None and status == 404 and not isinstance(error, errors.RepositoryNotFoundError):
        return ModelUnavailable("hub_file_missing", **where, file=file)
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
        return ModelUnavailable("hub_not_found", **where)
    return ModelUnavailable("hub_server", **where, status=status)
