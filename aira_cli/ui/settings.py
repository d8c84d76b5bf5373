"""The sampling settings of a chat in layers, and what is typed as key=value."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from aira_cli.errors import UsageError
from aira_cli.profiles.schema import SamplingFields, allowed_range
from aira_cli.types import Sampling

Origin = Literal["typed", "flag", "profile", "default"]

#: What /set and /refazer take, the seed beside the settings that profiles have.
NAMES = (*SamplingFields.model_fields, "seed")


_AROUND_EQUALS = re.compile(r"\s*=\s*")
_COMMA = re.compile(r"^([-+]?\d*),(\d+)$")


@dataclass
class Settings:
    """What was typed in the chat, over the command line's flags, over the profile's."""

    profile: SamplingFields
    flags: Mapping[str, Any]
    typed: dict[str, Any] = field(default_factory=dict)

    def sampling(self, **once: Any) -> Sampling:
        """All layers in one, `once` on top. Greedy answers are all equal: one is drawn."""
        merged = {**self.profile.model_dump(), **self.flags, **self.typed, **once}
        value = SamplingFields.model_validate(merged).value()
        return replace(value, samples=1) if value.greedy else value

    def origin(self, name: str) -> Origin:
        if name in self.typed:
            return "typed"
        if name in self.flags:
            return "flag"
        return "profile" if name in self.profile.model_fields_set else "default"


def parsed(line: str) -> dict[str, Any]:
    """`key=value …` as settings. UsageError names the first that is unknown or out of range."""
    found: dict[str, Any] = {}
    for word in _words(_AROUND_EQUALS.sub("=", line)):
        written, equals, text = word.partition("=")
        name = written.strip().replace("-", "_")
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
            known = near[0] if near else ", ".join(NAMES)
            raise UsageError("setting_unknown", name=written, near=known)
        if not equals:
            raise UsageError("setting_without_value", name=name)
        found[name] = _seed(text) if name == "seed" else _checked(name, text)
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quote that never ends
        return line.split()


def _checked(name: str, text: str) -> Any:
    # A decimal comma is how such numbers are shown in Portuguese.
    value: object = _COMMA.sub(r"\1.\2", text)
    if name == "stop":
        value = [text.replace("\\n", "\n")] if text else []
    try:
        return getattr(SamplingFields.model_validate({name: value}), name)
    except ValidationError as error:
        raise UsageError(
            "setting_out_of_range", name=name, value=text, allowed=allowed_range(name)
        ) from error


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise UsageError("setting_out_of_range", name="seed", value=text, allowed="≥ 0, < 2⁶³")
    return int(text)
