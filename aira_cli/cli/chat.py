"""`aira chat`: a conversation in the terminal; through a pipe, one question and its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from aira_cli.cli import flags
from aira_cli.cli.answering import Asked, Shown, answer
from aira_cli.cli.boundary import Runtime
from aira_cli.cli.flags import ModelFlags
from aira_cli.cli.opening import opened, say_plain_rounding
from aira_cli.cli.recording import earlier_of, recorder_for, saved_conversation
from aira_cli.cli.stdin import read_prompt
from aira_cli.environment import is_terminal
from aira_cli.errors import UsageError
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import ProfileStore

if TYPE_CHECKING:
    from aira_cli.engine.local.engine import LocalEngine
    from aira_cli.history.recorder import Recorder
    from aira_cli.history.records import SavedConversation


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
    continue_: flags.Continue = False,
    session: flags.Session = None,
    no_history: flags.NoHistory = False,
    device: flags.Device = None,
    dtype: flags.Dtype = None,
    adapter: flags.Adapter = None,
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
    chosen = ModelFlags(model, device, dtype, offline, quiet, adapter)
    if continue_ and session is not None:
        raise UsageError("continue_with_session")
    environment = runtime.environment
    piped = not is_terminal(environment.stdin)
    question = read_prompt([], environment.stdin) if piped else ""
    if not piped and not is_terminal(environment.stdout):
        raise UsageError("chat_needs_terminal")
    saved = saved_conversation(runtime, session) if continue_ or session is not None else None
    earlier = earlier_of(saved) if saved else None
    recorder = recorder_for(runtime, earlier, wanted=not no_history)
    if session is not None and saved is None:
        recorder.rename(session)
    if piped:
        asked = Asked(question, settings, seed, False, earlier, not no_history, session)
        shown = Shown(json=False, stream=True, stats=stats)
        raise typer.Exit(answer(runtime, chosen, asked, shown))
    raise typer.Exit(_converse(runtime, chosen, settings, seed, recorder, saved, stats))


def _converse(
    runtime: Runtime, chosen: ModelFlags, settings: dict[str, Any], seed: int,
    recorder: Recorder, saved: SavedConversation | None, show_stats: bool,
) -> int:  # fmt: skip
    from aira_cli.session import Conversation
    from aira_cli.ui.actions.saved import show_last
    from aira_cli.ui.repl import Repl
    from aira_cli.ui.settings import Settings
    from aira_cli.ui.talk import Models, Talk

    profile, engine = _opened(runtime, chosen)
    environment = runtime.environment
    conversation = Conversation(engine, flags.sampling(profile, settings), seed, recorder=recorder)
    models = Models(
        ProfileStore(environment.config_dir),
        lambda name: _opened(runtime, _other(chosen, name, profile)),
    )
    layers = Settings(profile.sampling, settings)
    talk = Talk(conversation, profile, layers, models, environment, runtime.language, show_stats)
    recorder.complain = talk.not_recorded
    lines = environment.data_dir / "lines" if recorder.path is not None else None
    try:
        if saved is not None:
            conversation.load(saved)
            show_last(talk)
            _say_other_model(talk.tell, saved, chosen, profile)
        return Repl(talk, lines).run()
    finally:
        conversation.engine.close()


def _other(chosen: ModelFlags, name: str, first: Profile) -> ModelFlags:
    """The flags for another model: --adapter was meant for the `first` one alone."""
    adapter = chosen.adapter if name == first.name else None
    return replace(chosen, model=name, adapter=adapter)


def _opened(runtime: Runtime, chosen: ModelFlags) -> tuple[Profile, LocalEngine]:
    from aira_cli.engine.open import open_model

    profile, engine = opened(
        runtime, chosen, lambda p, place: open_model(p, place, chosen.device, chosen.dtype)
    )
    say_plain_rounding(runtime, chosen, profile)
    return profile, engine


def _say_other_model(
    tell: Callable[..., None], saved: SavedConversation, chosen: ModelFlags, profile: Profile
) -> None:
    before = saved.listed.profile
    if before != profile.name and chosen.model is None and not chosen.quiet:
        tell("ask.other_model", before=before, name=profile.name)
