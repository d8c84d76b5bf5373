"""The Typer application: commands are registered here, help is put into the user's language.

Commands import what they need when they run: `aira --help` loads neither torch nor
transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

import aira_cli
from aira_cli.cli import ask, bench, chat, completing, doctor, history, models
from aira_cli.cli.boundary import Runtime
from aira_cli.i18n import Translate
from aira_cli.printable import printable

HELP_OPTIONS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


def build_app(runtime: Runtime) -> Callable[..., int]:
    """The command line as a callable `app(args=…, obj=runtime)` that returns an exit code."""
    app = typer.Typer(
        name="aira", help="help.aira", no_args_is_help=True, rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings=HELP_OPTIONS,
    )  # fmt: skip
    app.callback()(_root)
    app.command("ask", help="help.ask")(ask.ask)
    app.command("chat", help="help.chat")(chat.chat)
    app.command("bench", help="help.bench")(bench.bench)
    app.command("doctor", help="help.doctor")(doctor.doctor)
    app.add_typer(history.app, name="history", help="help.history")
    app.add_typer(models.app, name="models", help="help.models")
    command = typer.main.get_command(app)
    _localize(command, runtime.t)
    for parameter in command.params:
        if parameter.name == "install_completion":
            parameter.callback = _install_completion  # type: ignore[assignment]

    def call(args: list[str], obj: Runtime) -> int:
        code = command.main(args=args, prog_name="aira", standalone_mode=False, obj=obj)
        return code if isinstance(code, int) else 0

    return call


def _version(context: typer.Context, asked: bool) -> None:
    if asked:
        print(f"aira {aira_cli.__version__}", file=context.obj.environment.stdout)
        raise typer.Exit


def _install_completion(context: typer.Context, parameter: object, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    runtime: Runtime = context.obj
    shell, path = completing.install_completion(runtime.environment)
    line = runtime.t("completion.installed", shell=shell, path=path)
    print(printable(line), file=runtime.environment.stdout)
    raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="help.version", callback=_version, is_eager=True)
    ] = False,
    lang: Annotated[str | None, typer.Option("--lang", metavar="pt|en", help="help.lang")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="help.debug")] = False,
) -> None:
    # --lang and --debug were taken by the boundary; they stand here for --help.
    return None


def _localize(command: Any, t: Translate) -> None:
    """Turns the catalogue keys that stand as help texts into sentences, down the whole tree."""
    from typer import rich_utils

    rich_utils.ARGUMENTS_PANEL_TITLE = t("help.panel_arguments")
    rich_utils.OPTIONS_PANEL_TITLE = t("help.panel_options")
    rich_utils.COMMANDS_PANEL_TITLE = t("help.panel_commands")
    rich_utils.DEFAULT_STRING = t("help.default")
    rich_utils.REQUIRED_LONG_STRING = t("help.required")
    _localize_command(command, t)


def _usage(line: str, t: Translate) -> str:
    line = line.replace("Usage:", t("help.usage"), 1)
    line = line.replace("[OPTIONS]", f"[{t('help.panel_options').upper()}]")
    return line.replace("COMMAND [ARGS]...", t("help.command"))


def _localize_command(command: Any, t: Translate) -> None:
    command.help = t(command.help) if command.help else None
    command.short_help = None
    usage = command.get_usage
    command.get_usage = lambda context: _usage(usage(context), t)
    context = typer.Context(command, info_name=command.name, **HELP_OPTIONS)
    for parameter in command.get_params(context):
        named = {"help": "help.help", "install_completion": "help.install_completion",
                 "show_completion": "help.show_completion"}.get(parameter.name)  # fmt: skip
        key = named or getattr(parameter, "help", None)
        if key and key.startswith("help."):
            parameter.help = t(key)
    for child in getattr(command, "commands", {}).values():
        _localize_command(child, t)
