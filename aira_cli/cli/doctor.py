"""`aira doctor`: versions, devices, caches, who answers, and what will run where."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator

import typer

import aira_cli
from aira_cli.cli.boundary import Runtime
from aira_cli.cli.opening import REACH_SECONDS, wanted_model
from aira_cli.engine.local.copies import PREPARED, kept_copies
from aira_cli.errors import AiraError
from aira_cli.profiles.store import DEFAULT_MODEL, EMBEDDED_MODEL, ProfileStore, broken_profiles
from aira_cli.sources.resolve import cached_size, find_cached, reachable
from aira_cli.ui.tables import print_facts, size

_PACKAGES = ("torch", "transformers", "tokenizers", "huggingface-hub", "safetensors", "gguf")

# What `native.build.obstacle` says, in words.
_OBSTACLES = {
    "machine": "doctor.kernels_machine",
    "compiler": "doctor.kernels_compiler",
    "failure": "doctor.kernels_failure",
}

Fact = tuple[str, str]


def doctor(context: typer.Context) -> None:
    runtime: Runtime = context.obj
    store = ProfileStore(runtime.environment.config_dir)
    facts = [*_versions(), *_devices(runtime), *_kernels(runtime), *_folders(runtime, store)]
    facts += [*_network(runtime, store), *_choice(runtime, store)]
    print_facts(runtime.environment.stdout, facts)


def _versions() -> Iterator[Fact]:
    yield "aira", aira_cli.__version__
    yield "python", f"{platform.python_version()} ({platform.platform(terse=True)})"
    for name in _PACKAGES:
        yield name, importlib.metadata.version(name)


def _devices(runtime: Runtime) -> Iterator[Fact]:
    import torch

    from aira_cli.engine.local.device import available_devices, fast_dtype

    for name in available_devices():
        device = torch.device(name)
        dtype = str(fast_dtype(device)).removeprefix("torch.")
        yield runtime.t("doctor.device"), f"{name}: {_device_name(device, runtime)}, {dtype}"


def _device_name(device: object, runtime: Runtime) -> str:
    import torch

    if str(device) == "cuda":
        memory = torch.cuda.get_device_properties(0).total_memory
        return f"{torch.cuda.get_device_name(0)}, {size(memory, runtime.t)}"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} × CPU"


def _kernels(runtime: Runtime) -> Iterator[Fact]:
    """Whose kernels a CPU computes with. Ours are compiled if they are not yet."""
    from aira_cli.engine.local.native.build import library, obstacle

    t, environment = runtime.t, runtime.environment
    if environment.variables.get("AIRA_KERNELS") == "torch":
        yield t("doctor.kernels"), t("doctor.kernels_unwanted")
        return
    path = library(environment.cache_dir / "native")
    if path is not None:
        yield t("doctor.kernels"), t("doctor.kernels_own", path=path)
    else:
        yield t("doctor.kernels"), t(_OBSTACLES[obstacle()])


def _prepared(runtime: Runtime) -> Iterator[Fact]:
    """How much room the prepared copies take, whoever may still use them."""
    copies = kept_copies(runtime.environment.cache_dir / PREPARED)
    total = size(sum(copy.nbytes for copy in copies), runtime.t)
    said = runtime.t("doctor.prepared_size", count=len(copies), size=total)
    yield runtime.t("doctor.prepared"), said


def _folders(runtime: Runtime, store: ProfileStore) -> Iterator[Fact]:
    environment, t = runtime.environment, runtime.t
    yield t("doctor.profiles"), str(store.user_folder)
    yield t("doctor.cache"), str(environment.cache_dir)
    from aira_cli.sources.hub_cache import cache_root

    yield t("doctor.hub_cache"), str(cache_root())
    yield from _prepared(runtime)
    broken = dict(broken_profiles(store))
    for name, error in broken.items():
        yield name, t(f"error.{error.key}", **error.fields)
    for name in store.names():
        if name in broken:
            continue
        source = store.load(name).source
        if find_cached(source, cache_dir=environment.cache_dir) is not None:
            yield (
                t("doctor.cached"),
                f"{name}: {size(cached_size(source, cache_dir=environment.cache_dir), t)}",
            )


def _network(runtime: Runtime, store: ProfileStore) -> Iterator[Fact]:
    for key, name in (("doctor.hub", DEFAULT_MODEL), ("doctor.index", EMBEDDED_MODEL)):
        reason = reachable(store.load(name).source, timeout=REACH_SECONDS)
        answer = "doctor.answers" if reason is None else "doctor.silent"
        yield runtime.t(key), runtime.t(answer, reason=reason)


def _choice(runtime: Runtime, store: ProfileStore) -> Iterator[Fact]:
    """Which model a bare `aira ask` would run, and where."""
    from aira_cli.engine.local.device import pick_device

    try:
        wanted = wanted_model(runtime, None, store)
        if wanted is not None:
            store.find(wanted)
    except AiraError as error:
        yield runtime.t("doctor.runs"), runtime.t(f"error.{error.key}", **error.fields)
        return
    if wanted is not None:
        name, why = wanted, runtime.t("doctor.chosen")
    else:
        source = store.load(DEFAULT_MODEL).source
        here = find_cached(source, cache_dir=runtime.environment.cache_dir) is not None
        usable = here or reachable(source, timeout=REACH_SECONDS) is None
        name = DEFAULT_MODEL if usable else EMBEDDED_MODEL
        why = runtime.t("doctor.default" if usable else "doctor.embedded", default=DEFAULT_MODEL)
    yield runtime.t("doctor.runs"), f"{name} → {pick_device(None).type} ({why})"
