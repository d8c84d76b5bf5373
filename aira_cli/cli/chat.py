"""`aira chat`: a conversation in the terminal; through a pipe, one question and its answers."""

from __future__ import annotations

from functools import partial
from typing import Any

import typer

from aira_cli.cli import flags
from aira_cli.cli.answering import Asked, Shown, answer
from aira_cli.cli.boundary import Runtime
from aira_cli.cli.flags import ModelFlags
from aira_cli.cli.opening import opened
from aira_cli.cli.stdin import read_prompt
from aira_cli.environment import is_terminal
from aira_cli.errors import UsageError
from aira_cli.session import Conversation
from aira_cli.ui.style import stats_line


def chat(  # a command line has as many parameters as it has flags
    context: typer.Context,
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
    device: flags.Device = None,
    dtype: flags.Dtype = None,
    offline: flags.Offline = False,
    stats: flags.Stats = False,
    quiet: flags.Quiet = False,
    lang: flags.Lang = None,
) -> None:
    runtime: Runtime = context.obj
    settings = flags.given(
        samples=samples, temperature=temperature, top_k=top_k, top_p=top_p,
        repetition_penalty=repetition_penalty, max_new_tokens=max_new_tokens, stop=stop,
        greedy=greedy,
    )  # fmt: skip
    seed = flags.checked_seed(seed)
    chosen = ModelFlags(model, device, dtype, offline, quiet)
    if not is_terminal(runtime.environment.stdin):
        asked = Asked(read_prompt([], runtime.environment.stdin), settings, seed, raw=False)
        raise typer.Exit(
            answer(runtime, chosen, asked, Shown(json=False, stream=True, stats=stats))
        )
    if not is_terminal(runtime.environment.stdout):
        raise UsageError("chat_needs_terminal")
    raise typer.Exit(_converse(runtime, chosen, settings, seed, show_stats=stats))


def _converse(
    runtime: Runtime, chosen: ModelFlags, settings: dict[str, Any], seed: int, *, show_stats: bool
) -> int:
    from aira_cli.engine.open import open_model
    from aira_cli.ui.repl import Repl

    profile, engine = opened(
        runtime, chosen, lambda p, place: open_model(p, place, chosen.device, chosen.dtype)
    )
    conversation = Conversation(engine, flags.sampling(profile, settings), seed)
    try:
        stats = partial(stats_line, runtime.t, profile.name) if show_stats else None
        return Repl(conversation, profile, runtime.t, runtime.environment.stdout, stats).run()
    finally:
        engine.close()
