"""The process boundary: the one place where failures become a message and an exit code.

--lang and --debug are read here, before anything can fail, so that even a wrong flag is
reported in the language that was asked for.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace

from typer.exceptions import Abort, TyperException

from aira_cli.environment import LANGUAGES, Environment
from aira_cli.errors import AiraError, UsageError
from aira_cli.i18n import Translate, translator
from aira_cli.printable import printable

INTERRUPTED = 130


@dataclass(frozen=True)
class Runtime:
    """What every command gets: the process's surroundings and the interface's words."""

    environment: Environment
    t: Translate
    language: str


def run(arguments: Sequence[str], environment: Environment | None = None) -> int:
    """Runs the command line in `arguments`; the exit code."""
    environment = environment or Environment.of_process()
    language = environment.language()
    runtime = Runtime(environment, translator(language), language)
    try:
        runtime, rest = _settled(runtime, list(arguments))
        from aira_cli.cli.app import build_app

        code = build_app(runtime)(args=rest, obj=runtime)
        environment.stdout.flush()
        return code
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # Typer's own way of leaving
            return _closed_pipe()
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    except Abort:
        return INTERRUPTED
    except Exception as error:  # the boundary: nothing passes it but a message and a code
        return _report(error, runtime)


def _settled(runtime: Runtime, arguments: list[str]) -> tuple[Runtime, list[str]]:
    """--lang and --debug taken out of `arguments`, wherever they stand before a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    head, tail = arguments[:end], arguments[end:]
    environment = runtime.environment
    if "--debug" in head:
        head = [argument for argument in head if argument != "--debug"]
        environment = replace(environment, debug=True)
        _show_log(environment)
    language = runtime.language
    settings = (
        _settings_language(environment) if not environment.variables.get("AIRA_LANG") else None
    )
    head, asked = _take_lang(head)
    if asked is not None and asked[:2].lower() not in LANGUAGES:
        raise UsageError("language_unknown", language=asked, known=", ".join(LANGUAGES))
    language = (asked or settings or language)[:2].lower()
    return Runtime(environment, translator(language), language), head + tail


def _show_log(environment: Environment) -> None:
    """--debug: what is logged goes to stderr, a line each."""
    handler = logging.StreamHandler(environment.stderr)
    handler.format = lambda record: printable(f"{record.name}: {record.getMessage()}")  # type: ignore[method-assign]
    ours = logging.getLogger("aira_cli")
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel(logging.DEBUG)


def _settings_language(environment: Environment) -> str | None:
    """What config.yaml says, if it can be read: a broken one is reported by who needs it."""
    if not (environment.config_dir / "config.yaml").exists():
        return None
    from aira_cli.profiles.store import ProfileStore

    try:
        return ProfileStore(environment.config_dir).settings().lang
    except UsageError:
        return None


def _take_lang(arguments: list[str]) -> tuple[list[str], str | None]:
    asked, rest = None, []
    words = iter(arguments)
    for word in words:
        if word == "--lang":
            asked = next(words, "")
        elif word.startswith("--lang="):
            asked = word.removeprefix("--lang=")
        else:
            rest.append(word)
    return rest, asked


def _report(error: Exception, runtime: Runtime) -> int:
    """Says what went wrong on stderr; the exit code."""
    if isinstance(error, BrokenPipeError):
        return _closed_pipe()
    stderr = runtime.environment.stderr
    if runtime.environment.debug:
        traceback.print_exception(error, file=stderr)
    if type(error).__name__ != "NoArgsIsHelpError":  # its help was shown
        print(printable(_message(error, runtime)), file=stderr)
    return error.exit_code if isinstance(error, AiraError | TyperException) else 1


def _message(error: Exception, runtime: Runtime) -> str:
    t = runtime.t
    if isinstance(error, AiraError):
        return t("error.prefix") + t(f"error.{error.key}", **error.fields)
    if isinstance(error, TyperException):
        from aira_cli.cli.usage import usage_message

        return t("error.prefix") + usage_message(error, t)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return t("error.prefix") + t("error.no_space", path=error.filename or "stdout")
    return t("error.prefix") + t("error.unexpected", kind=type(error).__name__, reason=error)


def _closed_pipe() -> int:
    """Whoever read our output has enough. Python's own flush at exit must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
