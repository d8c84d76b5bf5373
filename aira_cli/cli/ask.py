"""`aira ask`: one question from words and stdin, several answers."""

from __future__ import annotations

from typing import Annotated

import typer

from aira_cli.cli import flags
from aira_cli.cli.answering import Asked, Shown, answer, show_prompt
from aira_cli.cli.boundary import Runtime
from aira_cli.cli.flags import ModelFlags
from aira_cli.cli.recording import newest_conversation
from aira_cli.cli.stdin import read_prompt
from aira_cli.errors import UsageError

Words = Annotated[list[str] | None, typer.Argument(help="help.words", metavar="PROMPT")]
Json = Annotated[bool, typer.Option("--json", help="help.json")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="help.no_stream")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="help.dry_run")]


def ask(  # a command line has as many parameters as it has flags
    context: typer.Context,
    words: Words = None,
    model: flags.Model = None,
    samples: flags.Samples = None,
    temperature: flags.Temperature = None,
    top_k: flags.TopK = None,
    top_p: flags.TopP = None,
    repetition_penalty: flags.RepetitionPenalty = None,
    max_new_tokens: flags.MaxNewTokens = None,
    stop: flags.Stop = None,
    seed: flags.Seed = None,
    greedy: flags.Greedy = False,
    raw: flags.Raw = False,
    continue_: flags.Continue = False,
    no_history: flags.NoHistory = False,
    device: flags.Device = None,
    dtype: flags.Dtype = None,
    adapter: flags.Adapter = None,
    offline: flags.Offline = False,
    json: Json = False,
    no_stream: NoStream = False,
    stats: flags.Stats = False,
    quiet: flags.Quiet = False,
    dry_run: DryRun = False,
    lang: flags.Lang = None,
) -> None:
    runtime: Runtime = context.obj
    settings = flags.given(
        samples=samples, temperature=temperature, top_k=top_k, top_p=top_p,
        repetition_penalty=repetition_penalty, max_new_tokens=max_new_tokens, stop=stop,
        greedy=greedy,
    )  # fmt: skip
    question = read_prompt(words or [], runtime.environment.stdin)
    chosen = ModelFlags(model, device, dtype, offline, quiet, adapter)
    if continue_ and raw:
        raise UsageError("raw_with_continue")
    earlier = newest_conversation(runtime) if continue_ else None
    asked = Asked(question, settings, flags.checked_seed(seed), raw, earlier, not no_history)
    if dry_run:
        show_prompt(runtime, chosen, asked, as_json=json)
    else:
        raise typer.Exit(answer(runtime, chosen, asked, Shown(json, not no_stream, stats)))
