"""The flags that several commands share, and the sampling settings they add up to."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from aira_cli.cli import completing
from aira_cli.errors import UsageError
from aira_cli.profiles.schema import Profile, SamplingFields, allowed_range
from aira_cli.types import NUMBER_TYPES, LocalSource, Sampling

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")

Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="help.model", metavar="NAME", autocompletion=completing.profiles
    ),
]
Samples = Annotated[int | None, typer.Option("--samples", "-n", help="help.samples")]
Temperature = Annotated[float | None, typer.Option("--temperature", "-t", help="help.temperature")]
TopK = Annotated[int | None, typer.Option("--top-k", help="help.top_k")]
TopP = Annotated[float | None, typer.Option("--top-p", help="help.top_p")]
RepetitionPenalty = Annotated[
    float | None, typer.Option("--repetition-penalty", help="help.repetition_penalty")
]
MaxNewTokens = Annotated[int | None, typer.Option("--max-new-tokens", help="help.max_new_tokens")]
Stop = Annotated[list[str] | None, typer.Option("--stop", help="help.stop", metavar="TEXT")]
Seed = Annotated[int | None, typer.Option("--seed", help="help.seed")]
Greedy = Annotated[bool, typer.Option("--greedy", help="help.greedy")]
Raw = Annotated[bool, typer.Option("--raw", help="help.raw")]
Device = Annotated[
    str | None,
    typer.Option("--device", help="help.device", metavar="NAME", autocompletion=completing.devices),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype", help="help.dtype", metavar="NAME", autocompletion=completing.number_types
    ),
]
Adapter = Annotated[Path | None, typer.Option("--adapter", help="help.adapter", metavar="PATH")]
Offline = Annotated[bool, typer.Option("--offline", help="help.offline")]
Stats = Annotated[bool, typer.Option("--stats", help="help.stats")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="help.quiet")]
NoHistory = Annotated[bool, typer.Option("--no-history", help="help.no_history")]
Continue = Annotated[bool, typer.Option("--continue", "-c", help="help.continue")]
Session = Annotated[
    str | None,
    typer.Option(
        "--session", help="help.session", metavar="NAME", autocompletion=completing.sessions
    ),
]
Lang = Annotated[
    str | None,
    typer.Option("--lang", help="help.lang", metavar="pt|en", autocompletion=completing.languages),
]


@dataclass(frozen=True)
class ModelFlags:
    """Which model, and where it runs; `adapter` is a folder, instead of the profile's adapter.

    UsageError for a device or number type nobody has, and for no folder.
    """

    model: str | None
    device: str | None
    dtype: str | None
    offline: bool
    quiet: bool
    adapter: Path | None = None

    def __post_init__(self) -> None:
        # Before a network is asked or torch imported; whether the device is there comes later.
        if self.device is not None and not _DEVICE.fullmatch(self.device):
            raise UsageError("device_unknown", device=self.device)
        if self.dtype is not None and self.dtype not in NUMBER_TYPES:
            raise UsageError("dtype_unknown", dtype=self.dtype, known=", ".join(NUMBER_TYPES))
        if self.adapter is not None and not self.adapter.is_dir():
            raise UsageError("adapter_no_folder", path=self.adapter)

    def adapted(self, profile: Profile) -> Profile:
        """The profile with the adapter that was named, if one was."""
        if self.adapter is None:
            return profile
        return profile.model_copy(update={"adapter": LocalSource(str(self.adapter.resolve()))})


def given(**flags: Any) -> dict[str, Any]:
    """The sampling flags that were given, checked on their own before a model is opened.

    Raises UsageError naming the flag, its value and what is allowed.
    """
    greedy, temperature = flags.pop("greedy"), flags.get("temperature")
    if greedy and temperature:
        raise UsageError("greedy_with_temperature", value=temperature)
    if "" in (flags.get("stop") or ()):
        raise UsageError("stop_empty")
    settings = {name: value for name, value in flags.items() if value is not None}
    if greedy:
        settings["temperature"] = 0.0
    checked(settings)
    return settings


def sampling(profile: Profile, settings: Mapping[str, Any]) -> Sampling:
    """The profile's settings under the given ones. Greedy answers are all equal: one is drawn."""
    merged = checked({**profile.sampling.model_dump(), **settings}).value()
    return replace(merged, samples=1) if merged.greedy else merged


def checked_seed(seed: int | None) -> int:
    """The seed that was given, or a fresh one."""
    if seed is None:
        return secrets.randbelow(2**31)
    if not 0 <= seed < 2**63:
        raise UsageError("flag_out_of_range", flag="--seed", value=seed, allowed="≥ 0, < 2⁶³")
    return seed


def checked(settings: Mapping[str, Any]) -> SamplingFields:
    """`settings` as validated sampling fields; UsageError names the first flag out of range."""
    try:
        return SamplingFields.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise UsageError(
            "flag_out_of_range",
            flag="--" + name.replace("_", "-"), value=first["input"], allowed=allowed_range(name),
        ) from error  # fmt: skip
