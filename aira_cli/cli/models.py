"""`aira models`: what can be run, what is here already, fetching and removing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from aira_cli.cli import completing, flags
from aira_cli.cli.boundary import Runtime
from aira_cli.cli.opening import wanted_model
from aira_cli.engine.local.copies import (
    PREPARED,
    Kept,
    copies_of,
    kept_copies,
    remove_copies,
)
from aira_cli.errors import ModelUnavailable, UsageError
from aira_cli.printable import printable
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import (
    DEFAULT_MODEL,
    ProfileStore,
    broken_profiles,
    profile_yaml,
)
from aira_cli.sources.disk import disk_errors
from aira_cli.sources.resolve import cached_size, find_adapter, find_cached, remove
from aira_cli.types import HubSource, LocalSource, PackagedSource
from aira_cli.ui.progress import Loading
from aira_cli.ui.style import decimal
from aira_cli.ui.tables import print_facts, print_table, size

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

_NAME: Any = typer.Argument(
    help="help.models_name", metavar="NAME", autocompletion=completing.profiles
)
Name = Annotated[str, _NAME]
OptionalName = Annotated[str | None, _NAME]
Prepared = Annotated[bool, typer.Option("--prepared", help="help.models_prepared")]


@app.command("list", help="help.models_list")
def list_models(context: typer.Context) -> None:
    runtime: Runtime = context.obj
    store = ProfileStore(runtime.environment.config_dir)
    broken = dict(broken_profiles(store))
    t = runtime.t
    wanted, wrong = _wanted(runtime, store)
    copies = kept_copies(prepared_folder(runtime))
    known = [store.load(name) for name in store.names() if name not in broken]
    rows = [_row(runtime, profile, wanted, copies) for profile in known]
    names = ("name", "parameters", "here", "prepared", "licence", "about")
    heads = [t(f"models.{name}") for name in names]
    print_table(runtime.environment.stdout, heads, rows, narrow=3)
    _say_stale(runtime, copies)
    for error in [*broken.values(), *wrong]:
        print(
            t("error.prefix") + t(f"error.{error.key}", **error.fields),
            file=runtime.environment.stderr,
        )


@app.command("show", help="help.models_show")
def show(context: typer.Context, name: Name) -> None:
    runtime: Runtime = context.obj
    store = ProfileStore(runtime.environment.config_dir)
    profile = store.find(name)
    t, stdout = runtime.t, runtime.environment.stdout
    facts = [
        (t("models.name"), profile.name),
        (t("models.about"), profile.description.text(runtime.language)),
        (t("models.limits"), profile.limits.text(runtime.language)),
        (
            t("models.parameters"),
            _grouped(profile.parameters),
        ),
        (t("models.languages"), ", ".join(profile.languages)),
        (t("models.licence"), profile.licence),
        (t("models.adapter"), _adapter(profile)),
        (t("models.here"), _here(runtime, profile)),
        *_prepared_facts(runtime, profile),
        (t("models.runs_on"), _decoder(runtime, profile)),
    ]
    print_facts(stdout, [fact for fact in facts if fact[1]])
    print(f"\n{profile_yaml(profile)}", end="", file=stdout)


@app.command("pull", help="help.models_pull")
def pull(context: typer.Context, name: Name, quiet: flags.Quiet = False) -> None:
    runtime: Runtime = context.obj
    profile = ProfileStore(runtime.environment.config_dir).find(name)
    path = _fetch(runtime, profile, shown=not quiet)
    print(path, file=runtime.environment.stdout)


@app.command("rm", help="help.models_rm")
def rm(context: typer.Context, name: OptionalName = None, prepared: Prepared = False) -> None:
    runtime: Runtime = context.obj
    copies = kept_copies(prepared_folder(runtime))
    if name is None:
        if not prepared:
            raise UsageError("missing_parameter", name="NAME")
        _remove_prepared(runtime, copies)
        return
    profile = ProfileStore(runtime.environment.config_dir).find(name)
    copies = _copies_for(runtime, profile, copies)
    if not prepared:
        cached = [profile.source]
        if isinstance(profile.adapter, HubSource):
            cached.append(profile.adapter)
        freed = sum(remove(source, cache_dir=runtime.environment.cache_dir) for source in cached)
        key = "models.removed" if freed else "models.nothing_here"
        print(
            runtime.t(key, name=profile.name, size=size(freed, runtime.t)),
            file=runtime.environment.stdout,
        )
    if prepared or copies:
        _remove_prepared(runtime, copies)


@app.command("path", help="help.models_path")
def path(context: typer.Context, name: Name) -> None:
    runtime: Runtime = context.obj
    profile = ProfileStore(runtime.environment.config_dir).find(name)
    found = find_cached(profile.source, cache_dir=runtime.environment.cache_dir)
    if found is None:
        raise ModelUnavailable("not_here", name=profile.name)
    print(found, file=runtime.environment.stdout)


def _fetch(runtime: Runtime, profile: Profile, *, shown: bool) -> Path:
    """All that the profile needs, the second tokenizer included if the checkpoint has none."""
    from aira_cli.engine.open import Place, fetch_all

    environment = runtime.environment
    sentence = runtime.t("models.pulling", name=profile.name)
    with Loading(environment.stderr, sentence, shown=shown) as loading:
        place = Place(environment.cache_dir, offline=False, progress=loading.progress)
        return fetch_all(profile, place)


def _adapter(profile: Profile) -> str:
    """What its source calls it."""
    match profile.adapter:
        case HubSource(hub=name) | LocalSource(path=name) | PackagedSource(packaged=name):
            return name
    return ""


def _grouped(count: int | None) -> str:
    return f"{count:,}".replace(",", " ") if count else ""


def _decoder(runtime: Runtime, profile: Profile) -> str:
    """Whose code will decode it, as far as the profile or the cached files say."""
    from aira_cli.checkpoints.open import open_checkpoint
    from aira_cli.engine.local.load import own_architecture

    config = profile.architecture
    if config is None:
        path = find_cached(profile.source, cache_dir=runtime.environment.cache_dir)
        if path is None:
            return ""
        config = open_checkpoint(path).config
    key = "models.generic" if own_architecture(config) is None else "models.own"
    return runtime.t(key, name=config.get("model_type", "?"))


def _wanted(runtime: Runtime, store: ProfileStore) -> tuple[str, list[UsageError]]:
    """The model used without --model; a config.yaml that cannot be read hides no list."""
    try:
        return wanted_model(runtime, None, store) or DEFAULT_MODEL, []
    except UsageError as error:
        return DEFAULT_MODEL, [error]


def _row(runtime: Runtime, profile: Profile, wanted: str, copies: Sequence[Kept]) -> list[str]:
    mark = " *" if profile.name == wanted else ""
    count = profile.parameters
    parameters = f"{count / 1e9:.1f} B" if count and count >= 1e9 else f"{(count or 0) / 1e6:.0f} M"
    usable = [copy for copy in _copies_for(runtime, profile, copies) if not copy.stale]
    return [
        profile.name + mark,
        decimal(parameters, runtime.t) if count else "",
        _here(runtime, profile),
        size(sum(copy.nbytes for copy in usable), runtime.t) if usable else "",
        profile.licence,
        profile.description.text(runtime.language),
    ]


def _here(runtime: Runtime, profile: Profile) -> str:
    cache_dir = runtime.environment.cache_dir
    if find_cached(profile.source, cache_dir=cache_dir) is None:
        return ""
    used = cached_size(profile.source, cache_dir=cache_dir)
    return size(used, runtime.t) if used else runtime.t("models.local")


def prepared_folder(runtime: Runtime) -> Path:
    return runtime.environment.cache_dir / PREPARED


def _copies_for(runtime: Runtime, profile: Profile, copies: Sequence[Kept]) -> list[Kept]:
    """The prepared copies of the profile's checkpoint, none where that is not on this machine.

    Those with an adapter belong to the profile that names it and to the base model.
    """
    path = find_cached(profile.source, cache_dir=runtime.environment.cache_dir)
    found = [] if path is None else copies_of(path, copies)
    if profile.adapter is None:
        return found
    folder = find_adapter(profile.adapter)
    return [] if folder is None else copies_of(folder, found)


def _prepared_facts(runtime: Runtime, profile: Profile) -> list[tuple[str, str]]:
    t = runtime.t
    facts = []
    for copy in _copies_for(runtime, profile, kept_copies(prepared_folder(runtime))):
        key = "models.copy_stale" if copy.stale else "models.copy"
        facts.append((t("models.prepared"), t(key, path=copy.path, size=size(copy.nbytes, t))))
    return facts


def _say_stale(runtime: Runtime, copies: Sequence[Kept]) -> None:
    """Copies that no load will use again, and how to be rid of them."""
    t, stderr = runtime.t, runtime.environment.stderr
    stale = [copy for copy in copies if copy.stale]
    for copy in stale:
        line = t("models.copy_stale", path=copy.path, size=size(copy.nbytes, t))
        print(f"{t('models.prepared')}: {printable(line)}", file=stderr)
    if stale:
        print(t("models.stale_hint"), file=stderr)


def _remove_prepared(runtime: Runtime, copies: Sequence[Kept]) -> None:
    with disk_errors(prepared_folder(runtime)):
        freed = remove_copies(copies)
    key = "models.copies_removed" if copies else "models.no_copies"
    sentence = runtime.t(key, count=len(copies), size=size(freed, runtime.t))
    print(sentence, file=runtime.environment.stdout)
