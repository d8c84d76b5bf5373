"""What a measuring process is told, as values that travel as one JSON object on its stdin.

Nothing here measures: `child.py` carries orders out, `children.py` sends them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

AIRA = "aira"
TRANSFORMERS = "transformers"
LLAMA_CPP = "llama.cpp"


@dataclass(frozen=True)
class Load:
    """Which weights are loaded by whom; `dtype` None is the contender's own choice.

    Ours alone has folders of compiled `kernels` (None: torch computes) and `prepared` copies.
    The `adapter` in its folder, if there is one, is merged into the weights.
    """

    contender: str
    checkpoint: str
    device: str
    dtype: str | None
    threads: int
    kernels: str | None = None
    prepared: str | None = None
    adapter: str | None = None


@dataclass(frozen=True)
class Describe:
    """Which device there is and how many threads torch takes; None asks for its own choice.

    Kernels that are wanted in the folder `kernels` are compiled if they are not there.
    """

    device: str | None
    threads: int | None
    kernels: str | None


@dataclass(frozen=True)
class WriteShape:
    """Random weights of `architecture` into `folder`, and the same as a file `gguf`."""

    name: str
    architecture: Mapping[str, Any]
    folder: str
    gguf: str | None


@dataclass(frozen=True)
class Measure:
    """Speeds after loading: prefill of `prefill_ids` (none: not measured), decoding of
    `new_tokens` tokens behind `prompt_ids` for each number of samples."""

    load: Load
    prompt_ids: Sequence[int]
    prefill_ids: Sequence[int]
    samples: Sequence[int]
    new_tokens: int


@dataclass(frozen=True)
class FirstToken:
    """Load, draw one token, and write a line as soon as it is there: the parent has the clock."""

    load: Load
    prompt_ids: Sequence[int]


@dataclass(frozen=True)
class Perplexity:
    """How surprised our decoder is by `ids`, cut into windows of `window` tokens, with the
    weights in each of the number types `dtypes` (None: as stored)."""

    load: Load
    dtypes: Sequence[str | None]
    ids: Sequence[int]
    window: int


Order = Describe | WriteShape | Measure | FirstToken | Perplexity

_KINDS: dict[str, type[Order]] = {
    kind.__name__: kind for kind in (Describe, WriteShape, Measure, FirstToken, Perplexity)
}


def written(order: Order) -> str:
    """The order as one JSON object."""
    return json.dumps({"order": type(order).__name__} | asdict(order))


def read(text: str) -> Order:
    """The order that `written` wrote."""
    fields = json.loads(text)
    kind = _KINDS[fields.pop("order")]
    if "load" in fields:
        fields["load"] = Load(**fields["load"])
    return kind(**fields)
