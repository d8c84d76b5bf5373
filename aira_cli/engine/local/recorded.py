"""A step of one token a row, recorded once and replayed: the same calls on the same memory.

Between two steps of a decoder only the inputs and the cache's length change. Recording spares
the way through Python and torch for each of several hundred small operations. A step in which
torch itself computed anything (`ops` and `linear` say so) is not whole and is run as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from aira_cli.engine.local.native.kernels import Kernels, Tape


@dataclass(frozen=True)
class Recorded:
    """`tape` reads `inputs` and leaves the logits in `logits`."""

    tape: Tape
    inputs: tuple[Tensor, ...]
    logits: Tensor

    def replay(self, native: Kernels, inputs: tuple[Tensor, ...]) -> Tensor:
        """The logits [n, V] for other inputs of the same shapes."""
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        native.replay(self.tape)
        return self.logits.clone()


def record(
    native: Kernels, step: Callable[..., Tensor], inputs: tuple[Tensor, ...]
) -> tuple[Recorded, Tensor]:
    """Runs `step(*inputs)` → logits [n, V], and keeps how it was done."""
    places = tuple(value.clone() for value in inputs)
    with native.recording() as tape:
        logits = step(*places)
    return Recorded(tape, places, logits), logits.clone()
