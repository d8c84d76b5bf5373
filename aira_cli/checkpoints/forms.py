"""What a checkpoint's tensors are, told from headers: shapes and bits, no weights and no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A weight record to be: its shape in transformers' state dict and how it is stored.

    `bits` are those of one weight. `group_size` is the number of inputs that share a scale, 0
    where weights are numbers as they are.
    """

    shape: tuple[int, ...]
    bits: int
    group_size: int = 0

    @property
    def count(self) -> int:
        """How many weights there are."""
        return math.prod(self.shape)

    @property
    def is_packed(self) -> bool:
        return self.group_size > 0


def dense_form(shape: tuple[int, ...], nbytes: int) -> Form:
    """The form of a tensor of plain numbers that takes `nbytes`."""
    return Form(shape, 8 * nbytes // max(1, math.prod(shape)))
