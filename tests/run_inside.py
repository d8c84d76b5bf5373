"""Runs the command line inside the test's process, with streams and folders of its own."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from aira_cli.cli.boundary import run
from aira_cli.environment import Environment


@dataclass
class Ran:
    """What one run said and how it ended."""

    code: int
    out: str
    err: str


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def _stream(content: bytes = b"", *, terminal: bool = False) -> io.TextIOWrapper:
    return (_Terminal if terminal else io.TextIOWrapper)(io.BytesIO(content), encoding="utf-8")


@dataclass
class Person:
    """Someone with folders of their own, who speaks `lang`."""

    home: Path
    lang: str = "en"

    def __call__(
        self, *arguments: str, stdin: bytes | None = None, terminal: bool = False, **variables: str
    ) -> Ran:
        """`stdin` None is a terminal nobody types at; `terminal` makes stdout one, too."""
        given = _stream(stdin or b"", terminal=stdin is None)
        out, err = _stream(terminal=terminal), _stream()
        environment = Environment(
            stdin=given, stdout=out, stderr=err,
            variables={"AIRA_LANG": self.lang, **variables},
            config_dir=self.home / "config", cache_dir=self.home / "cache",
            data_dir=self.home / "data",
        )  # fmt: skip
        code = run(list(arguments), environment)
        return Ran(code, _content(out), _content(err))

    def write_profile(self, name: str, text: str) -> Path:
        folder = self.home / "config" / "profiles"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path


def _content(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined, no-any-return]
