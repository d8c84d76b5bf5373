"""The process's surroundings as one injectable value: streams, variables, folders, language, clock.

Nothing else in the package reads os.environ or sys.stdin for our own settings; the hub client
and torch read theirs.
"""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import platformdirs

Language = str  # "pt" | "en"
LANGUAGES: tuple[Language, ...] = ("pt", "en")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Environment:
    """Streams, environment variables, the three folders that are ours, and what time it is."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    variables: Mapping[str, str]
    config_dir: Path
    cache_dir: Path
    data_dir: Path
    debug: bool = field(default=False)
    clock: Callable[[], datetime] = field(default=_now)

    @classmethod
    def of_process(cls) -> Environment:
        """The real one. Streams are told to replace what their encoding cannot hold."""
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="replace")
        return cls(
            stdin=sys.stdin or _nobody("r"),
            stdout=sys.stdout or _nobody("w"),
            stderr=sys.stderr or _nobody("w"),
            variables=os.environ,
            config_dir=platformdirs.user_config_path("aira", appauthor=False),
            cache_dir=platformdirs.user_cache_path("aira", appauthor=False),
            data_dir=platformdirs.user_data_path("aira", appauthor=False),
        )

    def language(self) -> Language:
        """AIRA_LANG, then the locale: Portuguese for pt and for no locale, English for others."""
        asked = self.variables.get("AIRA_LANG", "")[:2].lower()
        if asked in LANGUAGES:
            return asked
        named = (self.variables.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        code = next((value for value in named if value), "") or locale.getlocale()[0] or ""
        neutral = code.split(".")[0].upper() in ("", "C", "POSIX")
        return "pt" if neutral or code.lower().startswith("pt") else "en"


def _nobody(mode: str) -> TextIO:
    """What stands in for a stream that the caller closed: Python gives None then."""
    stream: TextIO = Path(os.devnull).open(mode, encoding="utf-8")  # type: ignore[assignment] # noqa: SIM115
    return stream


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sits at the other end; a closed or missing stream has nobody."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # the stream was closed
        return False
