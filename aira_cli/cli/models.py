"""`aira models`: what can be run, what is here already, fetching and removing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aira_cli.cli import flags
from aira_cli.cli.boundary import Runtime
from aira_cli.cli.opening import wanted_model
from aira_cli.errors import ModelUnavailable, UsageError
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import (
    DEFAULT_MODEL,
    ProfileStore,
    broken_profiles,
    profile_yaml,
)
from aira_cli.sources.resolve import cached_size, find_cached, remove
from aira_cli.ui.progress import Loading
from aira_cli.ui.style import decimal
from aira_cli.ui.tables import print_facts, print_table, size

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

Name = Annotated[str, typer.Argument(help="help.models_name", metavar="NAME")]


@app.command("list", help="help.models_list")
def list_models(context: typer.Context) -> None:
    runtime: Runtime = context.obj
    store = ProfileStore(runtime.environment.config_dir)
    broken = dict(broken_profiles(store))
    t = runtime.t
    wanted, wrong = _wanted(runtime, store)
    rows = [_row(runtime, store, name, wanted) for name in store.names() if name not in broken]
    heads = [t(f"models.{head}") for head in ("name", "parameters", "here", "licence", "about")]
    print_table(runtime.environment.stdout, heads, rows)
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
        (t("models.here"), _here(runtime, profile)),
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
def rm(context: typer.Context, name: Name) -> None:
    runtime: Runtime = context.obj
    profile = ProfileStore(runtime.environment.config_dir).find(name)
    freed = remove(profile.source, cache_dir=runtime.environment.cache_dir)
    key = "models.removed" if freed else "models.nothing_here"
    print(
        runtime.t(key, name=profile.name, size=size(freed, runtime.t)),
        file=runtime.environment.stdout,
    )


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


def _row(runtime: Runtime, store: ProfileStore, name: str, wanted: str) -> list[str]:
    profile = store.load(name)
    mark = " *" if name == wanted else ""
    count = profile.parameters
    parameters = f"{count / 1e9:.1f} B" if count and count >= 1e9 else f"{(count or 0) / 1e6:.0f} M"
    return [
        name + mark,
        decimal(parameters, runtime.t) if count else "",
        _here(runtime, profile),
        profile.licence,
        profile.description.text(runtime.language),
    ]


def _here(runtime: Runtime, profile: Profile) -> str:
    cache_dir = runtime.environment.cache_dir
    if find_cached(profile.source, cache_dir=cache_dir) is None:
        return ""
    used = cached_size(profile.source, cache_dir=cache_dir)
    return size(used, runtime.t) if used else runtime.t("models.local")
