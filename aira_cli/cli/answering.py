"""Answering one question: open the model, run the turn, show it in the way that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aira_cli.cli import flags
from aira_cli.cli.boundary import INTERRUPTED, Runtime
from aira_cli.cli.flags import ModelFlags
from aira_cli.cli.opening import opened, say_plain_rounding
from aira_cli.cli.recording import Earlier, recorder_for
from aira_cli.environment import is_terminal
from aira_cli.printable import printable, printable_json
from aira_cli.profiles.schema import Profile
from aira_cli.session import run_turn, saved_answers
from aira_cli.types import Message, Request
from aira_cli.ui.prompt_listing import prompt_lines, prompt_object
from aira_cli.ui.render import JsonView, LiveView, NumberedView, TextView, View
from aira_cli.ui.style import Labels, console_for, stats_line

if TYPE_CHECKING:
    from aira_cli.engine.local.prompter import Prompter


@dataclass(frozen=True)
class Asked:
    """The question, what it goes on from, how it is to be answered, whether and where it is kept.

    `name` is for a conversation that begins with it.
    """

    question: str
    settings: Mapping[str, Any]
    seed: int
    raw: bool
    earlier: Earlier | None = None
    recorded: bool = True
    name: str | None = None

    def request(self, profile: Profile) -> Request:
        sampling = flags.sampling(profile, self.settings)
        said = self.earlier.messages if self.earlier else ()
        return Request((*said, Message("user", self.question)), sampling, self.seed, self.raw)


@dataclass(frozen=True)
class Shown:
    """How the answers are to be shown."""

    json: bool
    stream: bool
    stats: bool


def answer(runtime: Runtime, chosen: ModelFlags, asked: Asked, shown: Shown) -> int:
    """Opens the model, runs the turn, shows it; the exit code."""
    from aira_cli.engine.open import open_model

    def refuse_early(profile: Profile, prompter: Prompter) -> None:
        prompter.prompt(asked.request(profile))

    profile, engine = opened(
        runtime,
        chosen,
        lambda p, place: open_model(p, place, chosen.device, chosen.dtype, refuse_early),
    )
    request = asked.request(profile)
    if request.sampling.samples < asked.settings.get("samples", 0) and not chosen.quiet:
        print(runtime.t("ask.greedy_one"), file=runtime.environment.stderr)
    say_plain_rounding(runtime, chosen, profile)
    _say_other_model(runtime, chosen, asked, profile)
    recorder = recorder_for(runtime, asked.earlier, wanted=asked.recorded)
    recorder.name = asked.name
    recorder.begin(request, profile.name)
    view = view_for(runtime, profile, request, shown)
    with view:
        turn = run_turn(engine, request, view.show if shown.stream else _ignore)
    recorder.finish(saved_answers(turn), turn.stats)
    view.finish(turn)
    engine.close()
    if shown.stats:
        print(stats_line(runtime.t, profile.name, turn), file=runtime.environment.stderr)
    return INTERRUPTED if turn.interrupted else 0


def _say_other_model(runtime: Runtime, chosen: ModelFlags, asked: Asked, profile: Profile) -> None:
    """A conversation that goes on with another model than it had is told so."""
    before = asked.earlier.profile if asked.earlier else profile.name
    if before != profile.name and chosen.model is None and not chosen.quiet:
        line = runtime.t("ask.other_model", before=before, name=profile.name)
        print(printable(line), file=runtime.environment.stderr)


def _ignore(_: object) -> None:
    return None


def view_for(runtime: Runtime, profile: Profile, request: Request, shown: Shown) -> View:
    stdout = runtime.environment.stdout
    labels = Labels(runtime.t, stdout)
    samples = request.sampling.samples
    if shown.json:
        return JsonView(stdout, profile.name)
    if is_terminal(stdout):
        console = console_for(stdout)
        growing = shown.stream and not console.is_dumb_terminal
        question = request.messages[-1].text
        return LiveView(console, labels, samples=samples, growing=growing, question=question)
    if samples == 1:
        return TextView(stdout)
    return NumberedView(stdout, labels)


def show_prompt(runtime: Runtime, chosen: ModelFlags, asked: Asked, *, as_json: bool) -> None:
    """--dry-run: what would be sent, from the tokenizer alone."""
    from aira_cli.engine.open import open_prompter

    profile, prompter = opened(runtime, chosen, open_prompter)
    prompt = prompter.prompt(asked.request(profile))
    name = "raw" if asked.raw else prompter.prompt_format
    stdout = runtime.environment.stdout
    if as_json:
        content = prompt_object(profile.name, name, prompt)
        print(printable_json(content), file=stdout)
        return
    heading = runtime.t("ask.dry_run", name=profile.name, format=name, tokens=len(prompt.ids))
    print("\n".join([heading, *prompt_lines(prompt)]), file=stdout)
