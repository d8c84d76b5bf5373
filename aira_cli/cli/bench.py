"""`aira bench`: speeds and memory beside the model cards' way and llama.cpp, in one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from aira_cli.bench.children import Children
from aira_cli.bench.machine import is_installed
from aira_cli.bench.orders import LLAMA_CPP, TRANSFORMERS, Describe
from aira_cli.bench.report import machine_object, results_object, settings_object
from aira_cli.bench.rounds import Announce, Results, Run, Settings
from aira_cli.bench.subjects import random_subject, real_subject
from aira_cli.cli import completing, flags
from aira_cli.cli.bench_history import bench_history
from aira_cli.cli.bench_tables import print_results
from aira_cli.cli.boundary import Runtime
from aira_cli.cli.flags import ModelFlags
from aira_cli.cli.opening import opened
from aira_cli.errors import UsageError
from aira_cli.printable import printable, printable_json
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import EMBEDDED_MODEL, ProfileStore

RIVALS = (TRANSFORMERS, LLAMA_CPP)
_FEWEST_TOKENS = 4  # that leave a step after the warm-up
_MOST_SAMPLES = 256

Names = Annotated[
    list[str] | None,
    typer.Argument(help="help.bench_names", metavar="NAME", autocompletion=completing.profiles),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape", help="help.bench_shape", metavar="NAME", autocompletion=completing.profiles
    ),
]
Against = Annotated[
    list[str] | None,
    typer.Option("--against", help="help.bench_against", metavar="transformers|llama.cpp"),
]
Counts = Annotated[str, typer.Option("--samples", help="help.bench_samples", metavar="N,N,…")]
PromptTokens = Annotated[int, typer.Option("--prompt-tokens", help="help.bench_prompt_tokens")]
PrefillTokens = Annotated[int, typer.Option("--prefill-tokens", help="help.bench_prefill_tokens")]
NewTokens = Annotated[int, typer.Option("--new-tokens", help="help.bench_new_tokens")]
Rounds = Annotated[int, typer.Option("--rounds", help="help.bench_rounds")]
Threads = Annotated[int | None, typer.Option("--threads", help="help.bench_threads")]
Quality = Annotated[
    Path | None, typer.Option("--quality", help="help.bench_quality", metavar="FILE")
]
History = Annotated[int | None, typer.Option("--history", help="help.bench_history", metavar="N")]
Json = Annotated[bool, typer.Option("--json", help="help.bench_json")]
Markdown = Annotated[bool, typer.Option("--markdown", help="help.bench_markdown")]


@dataclass(frozen=True)
class Asked:
    """What is to be measured, against whom, and the text whose perplexity is wanted."""

    names: Sequence[str]
    shapes: Sequence[Profile]
    against: Sequence[str]
    text: str | None


def bench(  # a command line has as many parameters as it has flags
    context: typer.Context,
    names: Names = None,
    shape: Shapes = None,
    against: Against = None,
    samples: Counts = "1,4,8",
    prompt_tokens: PromptTokens = 16,
    prefill_tokens: PrefillTokens = 256,
    new_tokens: NewTokens = 48,
    rounds: Rounds = 3,
    threads: Threads = None,
    device: flags.Device = None,
    dtype: flags.Dtype = None,
    quality: Quality = None,
    history: History = None,
    json: Json = False,
    markdown: Markdown = False,
    adapter: flags.Adapter = None,
    offline: flags.Offline = False,
    lang: flags.Lang = None,
) -> None:
    runtime: Runtime = context.obj
    if json and markdown:
        raise UsageError("json_with_markdown")
    chosen = ModelFlags(None, device, dtype, offline, False, adapter)
    counts = _counts(samples)
    for flag, value, least in (
        ("--prompt-tokens", prompt_tokens, 1), ("--prefill-tokens", prefill_tokens, 1),
        ("--new-tokens", new_tokens, _FEWEST_TOKENS), ("--rounds", rounds, 1),
        ("--threads", 1 if threads is None else threads, 1),
    ):  # fmt: skip
        _at_least(flag, value, least)
    if history is not None:
        _at_least("--history", history, 1)
        bench_history(runtime, history, rounds, as_json=json, markdown=markdown)
        return
    _check_rivals(against or [])
    if adapter is not None and shape and not names:
        raise UsageError("adapter_needs_weights")
    asked = _asked(runtime, names or [], shape or [], against or [], quality)
    children = Children(_variables(runtime, threads))
    kernels = _kernels(runtime)
    described = children.ask(Describe(device, threads, kernels))
    settings = Settings(
        counts, prompt_tokens, prefill_tokens, new_tokens, rounds,
        dtype, described["device"], described["threads"], kernels, offline,
    )  # fmt: skip
    machine = machine_object(described)
    found = []
    for results in _all_results(runtime, chosen, asked, settings, children):
        found.append(results_object(results))
        if not json:
            print_results(runtime, results, settings, machine, markdown=markdown)
    if json:
        shown = {"machine": machine, "settings": settings_object(settings), "models": found}
        print(printable_json(shown), file=runtime.environment.stdout)


def _counts(samples: str) -> tuple[int, ...]:
    """ "1,4,8" as numbers."""
    words = samples.split(",")
    good = all(w.strip().isdecimal() and 1 <= int(w) <= _MOST_SAMPLES for w in words)
    if not good:
        allowed = f"1,4,8 (1–{_MOST_SAMPLES})"
        raise UsageError("flag_out_of_range", flag="--samples", value=samples, allowed=allowed)
    return tuple(dict.fromkeys(map(int, words)))


def _at_least(flag: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError("flag_out_of_range", flag=flag, value=value, allowed=f"≥ {least}")


def _check_rivals(against: Sequence[str]) -> None:
    for rival in against:
        if rival not in RIVALS:
            raise UsageError("against_unknown", name=rival, known=", ".join(RIVALS))
    if LLAMA_CPP in against and not is_installed("llama-cpp-python"):
        raise UsageError("llama_cpp_missing")


def _asked(
    runtime: Runtime,
    names: Sequence[str],
    shapes: Sequence[str],
    against: Sequence[str],
    quality: Path | None,
) -> Asked:
    """Refuses what can be known to be wrong before anything is fetched or measured."""
    store = ProfileStore(runtime.environment.config_dir)
    if not names and not shapes:
        names = [EMBEDDED_MODEL]
    for name in names:
        store.find(name)
    profiles = [store.find(name) for name in shapes]
    for profile in profiles:
        if profile.architecture is None:
            raise UsageError("shape_unknown", name=profile.name)
    if quality is not None and not names:
        raise UsageError("quality_needs_weights")
    return Asked(names, profiles, against, None if quality is None else _text(quality))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError("yaml_not_utf8", path=path) from error
    except OSError as error:
        raise UsageError("file_unreadable", path=path, reason=error.strerror) from error


def _variables(runtime: Runtime, threads: int | None) -> dict[str, str]:
    """`aira ask` has no flag for threads (torch reads a variable), and its starts are no history
    of the person's."""
    asked = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return {**runtime.environment.variables, "AIRA_HISTORY": "off", **asked}


def _kernels(runtime: Runtime) -> str | None:
    """Where `aira ask` has its kernels; None where the person wants torch's."""
    if runtime.environment.variables.get("AIRA_KERNELS") == "torch":
        return None
    return str(runtime.environment.cache_dir / "native")


def _all_results(
    runtime: Runtime, chosen: ModelFlags, asked: Asked, settings: Settings, children: Children
) -> Iterator[Results]:
    """The real weights one after another, then the random ones."""
    for name in asked.names:
        path, adapter, ids = _fetched(runtime, replace(chosen, model=name), asked.text)
        prepared = runtime.environment.cache_dir / "prepared"
        subject = real_subject(name, path, prepared, adapter)
        run = Run(children, settings, subject, _announcer(runtime, name, settings))
        results = run.results(asked.against)
        if ids is not None:
            results.perplexities += run.perplexities(ids)
        yield results
    for profile in asked.shapes:
        _say(runtime, runtime.t("bench.writing", name=profile.name))
        with random_subject(profile, children, gguf=LLAMA_CPP in asked.against) as subject:
            announce = _announcer(runtime, profile.name, settings)
            yield Run(children, settings, subject, announce).results(asked.against)


def _fetched(
    runtime: Runtime, chosen: ModelFlags, text: str | None
) -> tuple[Path, Path | None, list[int] | None]:
    """Where the checkpoint and its adapter are, and the text in its ids."""
    from aira_cli.engine.open import Place, fetch_all, open_prompter

    def open_it(profile: Profile, place: Place) -> tuple[Path, Path | None, list[int] | None]:
        path, adapter = fetch_all(profile, place), place.adapter(profile)
        if text is None:
            return path, adapter, None
        tokenizer = open_prompter(profile, place)[1].tokenizer
        return path, adapter, tokenizer.encode_text(text, first=True)

    return opened(runtime, chosen, open_it)


def _announcer(runtime: Runtime, name: str, settings: Settings) -> Announce:
    """Says on stderr who is being measured."""

    def announce(contender: str, number: int) -> None:
        key = "bench.turn" if number else "bench.uncounted"
        counted = {"round": number, "rounds": settings.rounds}
        _say(runtime, runtime.t(key, name=name, contender=contender, **counted))

    return announce


def _say(runtime: Runtime, sentence: str) -> None:
    print(printable(sentence), file=runtime.environment.stderr, flush=True)
