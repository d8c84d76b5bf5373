"""What `decode.py` drives: a model that prefills and steps, and its cache, a small object beside.

n  rows (samples)   T  tokens   V  vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Cache(Protocol):
    """Keys and values of all positions so far, for one row or n."""

    @property
    def length(self) -> int:
        """Positions held."""
        ...

    def widen(self, n: int) -> None:
        """One row becomes n equal rows."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Only these rows stay, in this order."""
        ...

    def rewind(self, length: int) -> bool:
        """Forgets all positions from `length` on; False where the model's cache cannot."""
        ...


class StepModel(Protocol):
    """A causal language model on one device."""

    @property
    def device(self) -> torch.device: ...

    def new_cache(self) -> Cache:
        """An empty cache of one row."""
        ...

    def prefill(self, ids: Tensor, cache: Cache) -> Tensor:
        """ids [1, T] behind what the cache holds → logits [1, V] of the last position."""
        ...

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        """ids [n, 1] → logits [n, V]."""
        ...

    def all_logits(self, ids: Tensor, cache: Cache) -> Tensor:
        """ids [1, T] behind what the cache holds → logits [T, V] of every position."""
        ...
