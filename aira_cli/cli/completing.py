"""What a shell's Tab offers behind flags and commands: profiles, sessions, number types, devices.

A completion that fails says nothing: the line that a person is typing stays theirs.
"""

from __future__ import annotations

from pathlib import Path

from shellingham import ShellDetectionFailure, detect_shell  # type: ignore[import-untyped]
from typer.completion import install  # type: ignore[attr-defined]

from aira_cli.environment import LANGUAGES, Environment
from aira_cli.errors import AiraError, UsageError
from aira_cli.profiles.store import ProfileStore
from aira_cli.types import NUMBER_TYPES

SHELLS = ("bash", "zsh", "fish")


def install_completion(environment: Environment) -> tuple[str, Path]:
    """Puts completion among the files of the shell that aira runs in: its name, the file.

    Where that cannot be told it is the login shell. Raises UsageError for other shells, and for
    files that cannot be written.
    """
    login = Path(environment.variables.get("SHELL", "")).name
    shell = next((name for name in (_shell_around(), login) if name in SHELLS), None)
    if shell is None:
        raise UsageError("shell_unsupported", shell=login or "?", known=", ".join(SHELLS))
    try:
        path: Path = install(shell=shell, prog_name="aira")[1]
        if shell == "zsh":
            _complete_at_once(path)
        return shell, path
    except OSError as error:
        path, reason = error.filename, error.strerror or str(error)
        raise UsageError("completion_not_written", path=path, reason=reason) from error


def _complete_at_once(path: Path) -> None:
    """zsh loads the file at the first Tab, and Typer's only defines there what the second calls."""
    with path.open("a") as file:
        file.write('\n_aira_completion "$@"\n')


def _shell_around() -> str | None:
    try:
        return str(detect_shell()[0])
    except ShellDetectionFailure:
        return None


def profiles(incomplete: str) -> list[str]:
    """Names of profiles, the user's own among them."""
    try:
        names = ProfileStore(Environment.of_process().config_dir).names()
    except (AiraError, OSError):
        return []
    return _beginning(incomplete, names)


def sessions(incomplete: str) -> list[str]:
    """Names of conversations, the newest first."""
    from aira_cli.history.store import History

    path = Environment.of_process().data_dir / "history.db"
    if not path.exists():
        return []
    try:
        with History.open(path) as history:
            names = [listed.name for listed in history.conversations() if listed.name]
    except (AiraError, OSError):
        return []
    return _beginning(incomplete, names)


def number_types(incomplete: str) -> list[str]:
    return _beginning(incomplete, NUMBER_TYPES)


def devices(incomplete: str) -> list[str]:
    return _beginning(incomplete, ("cpu", "cuda", "mps"))


def languages(incomplete: str) -> list[str]:
    return _beginning(incomplete, LANGUAGES)


def _beginning(incomplete: str, names: list[str] | tuple[str, ...]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
