"""Typer's complaints about a command line, in the user's language."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError
from typer.exceptions import TyperException

from aira_cli.i18n import Translate

_QUOTED = re.compile(r"'([^']*)'")


def usage_message(error: TyperException, t: Translate) -> str:
    """One sentence for `error`. Typer has no public names for its kinds, so they go by name."""
    details: Any = error
    match type(error).__name__:
        case "NoSuchOption":
            nearest = ", ".join(sorted(details.possibilities or ()))
            key = "error.no_such_option_near" if nearest else "error.no_such_option"
            return t(key, option=details.option_name, nearest=nearest)
        case "MissingParameter":
            return t("error.missing_parameter", name=_hint(details))
        case "BadParameter":
            return t("error.bad_parameter", name=_hint(details), value=_input(error))
        case "BadOptionUsage":
            return t("error.option_needs_value", option=details.option_name)
        case _:
            return _other(error, t)


def _other(error: TyperException, t: Translate) -> str:
    if error.message.startswith("No such command"):
        name, *near = _QUOTED.findall(error.message) or [""]
        if near:
            return t("error.no_such_command_near", name=name, nearest=", ".join(near))
        context: Any = getattr(error, "ctx", None)
        path = context.command_path if context else "aira"
        return t("error.no_such_command", name=name, path=path)
    if error.message.startswith("Missing command"):
        return t("error.missing_command")
    if error.message.startswith("Got unexpected extra"):
        extra = error.message.rpartition("(")[2].rstrip(")")
        return t("error.extra_argument", extra=extra)
    return error.message


def _input(error: TyperException) -> object:
    """What the person wrote; Typer keeps it in the pydantic error behind its own."""
    cause = error.__cause__
    return cause.errors()[0]["input"] if isinstance(cause, ValidationError) else ""


def _hint(error: Any) -> str:
    options = [name for name in getattr(error.param, "opts", []) if name.startswith("--")]
    return options[0] if options else str(getattr(error.param, "display_name_raw", "?"))
