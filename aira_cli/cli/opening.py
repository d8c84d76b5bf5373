"""From flags to an open model: which profile, fetched with bars on stderr, loaded, completed."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from aira_cli.cli.boundary import Runtime
from aira_cli.cli.flags import ModelFlags
from aira_cli.errors import ModelUnavailable
from aira_cli.printable import printable
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import DEFAULT_MODEL, EMBEDDED_MODEL, ProfileStore
from aira_cli.types import HubSource
from aira_cli.ui.progress import Loading

if TYPE_CHECKING:
    from aira_cli.engine.open import Place

REACH_SECONDS = 3.0

Opened = TypeVar("Opened")
Opener = Callable[[Profile, "Place"], Opened]


def wanted_model(runtime: Runtime, flag: str | None, store: ProfileStore) -> str | None:
    """What was named: by the flag, by AIRA_MODEL, by config.yaml, in that order; or None."""
    return flag or runtime.environment.variables.get("AIRA_MODEL") or store.settings().model


def opened(runtime: Runtime, flags: ModelFlags, opener: Opener[Opened]) -> Opened:
    """`opener` on the profile that was named; else on the default, else on the embedded model.

    Only where nobody named a model does the embedded one step in, with a line that says why.
    """
    store = ProfileStore(runtime.environment.config_dir)
    wanted = wanted_model(runtime, flags.model, store)
    if wanted is not None:
        return _open(runtime, flags, store.find(wanted), opener)
    default, embedded = store.load(DEFAULT_MODEL), store.load(EMBEDDED_MODEL)
    try:
        _require_reachable(runtime, flags, default)
        return _open(runtime, flags, default, opener)
    except ModelUnavailable as error:
        why = _in_short(runtime, error)
    if not flags.quiet:
        note = runtime.t("opening.embedded", default=default.name, used=embedded.name, why=why)
        print(printable(note), file=runtime.environment.stderr)
    return _open(runtime, flags, embedded, opener)


def say_plain_rounding(runtime: Runtime, flags: ModelFlags, profile: Profile) -> None:
    """--dtype int4 on a model that does not come in so few bits: answers suffer."""
    if flags.dtype != "int4" or flags.quiet:
        return
    from aira_cli.checkpoints.open import open_checkpoint
    from aira_cli.sources.resolve import find_cached

    path = find_cached(profile.source, cache_dir=runtime.environment.cache_dir)
    if path is None or any(form.is_packed for form in open_checkpoint(path).forms().values()):
        return
    line = runtime.t("opening.plain_rounding", name=profile.name)
    print(printable(line), file=runtime.environment.stderr)


def _in_short(runtime: Runtime, error: ModelUnavailable) -> str:
    """Why a model cannot be had, without the advice that only whoever named it needs."""
    if error.key == "hub_unreachable":
        return runtime.t("opening.silent", **error.fields)
    sentence = runtime.t(f"error.{error.key}", **error.fields)
    return sentence.partition("\n")[0].rstrip(".")


def _require_reachable(runtime: Runtime, flags: ModelFlags, profile: Profile) -> None:
    """ModelUnavailable within three seconds where a fetch could only fail much later."""
    from aira_cli.sources.resolve import find_cached, reachable

    source, cache_dir = profile.source, runtime.environment.cache_dir
    if flags.offline or not isinstance(source, HubSource):
        return
    if find_cached(source, cache_dir=cache_dir) is None:
        from aira_cli.sources.hub_client import endpoint

        reason = reachable(source, timeout=REACH_SECONDS)
        if reason is not None:
            raise ModelUnavailable(
                "hub_unreachable", repo=source.hub, endpoint=endpoint(), reason=reason
            )


def _open(runtime: Runtime, flags: ModelFlags, profile: Profile, opener: Opener[Opened]) -> Opened:
    from aira_cli.engine.open import Place

    environment = runtime.environment
    sentence = runtime.t("opening.loading", name=profile.name)
    with Loading(environment.stderr, sentence, shown=not flags.quiet) as loading:
        native = environment.variables.get("AIRA_KERNELS") != "torch"
        place = Place(environment.cache_dir, flags.offline, loading.progress, native)
        found = opener(flags.adapted(profile), place)
    gc.freeze()  # what is there now stays; the collector was off until here (__main__)
    gc.enable()
    return found
