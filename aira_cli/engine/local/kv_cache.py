"""Keys and values of all positions so far, in memory that is allocated in blocks.

L  layers   B  rows (samples)   H  key/value heads   S  positions with room   D  head size
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aira_cli.engine.local.graphs import Graph, Seen
from aira_cli.engine.local.recorded import Recorded

BLOCK = 128


@dataclass(frozen=True)
class CacheShape:
    """What a model's cache looks like, without rows and positions."""

    layers: int
    heads: int
    head_dim: int


class KVCache:
    """See `models.step.Cache`. Memory is [L, B, H, S, D] for keys and the same for values."""

    def __init__(self, shape: CacheShape, device: torch.device, dtype: torch.dtype) -> None:
        size = (shape.layers, 1, shape.heads, 0, shape.head_dim)
        self._keys = torch.empty(size, device=device, dtype=dtype)
        self._values = torch.empty_like(self._keys)
        self._length = ctypes.c_int64(0)
        # A step recorded or captured on this memory; forgotten when the memory moves.
        self.recorded: Recorded | Graph | None = None
        #: Set while a step is captured: appends and masks go by it.
        self.seen: Seen | None = None

    @property
    def length(self) -> int:
        return self._length.value

    @property
    def position(self) -> ctypes.c_int64:
        """Where `length` lies: what is recorded looks there."""
        return self._length

    def reserve(self, tokens: int) -> None:
        """Makes room for `tokens` more positions, a whole number of blocks at a time."""
        missing = self.length + tokens - self._keys.shape[3]
        if missing > 0:
            more = -(-missing // BLOCK) * BLOCK
            self._keys, self._values = (_longer(t, more) for t in (self._keys, self._values))
            self.recorded = None

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Stores [B, H, T, D] behind what is there; views of all positions [B, H, length+T, D],
        or, while `seen` is set, of all memory."""
        if self.seen is not None:
            self._keys[layer].index_copy_(2, self.seen.at, keys)
            self._values[layer].index_copy_(2, self.seen.at, values)
            return self.memory(layer)
        start, end = self.length, self.length + keys.shape[2]
        self._keys[layer, :, :, start:end] = keys
        self._values[layer, :, :, start:end] = values
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]

    def memory(self, layer: int) -> tuple[Tensor, Tensor]:
        """All room for keys and values of a layer, [B, H, S, D] each, held positions first."""
        return self._keys[layer], self._values[layer]

    @property
    def room(self) -> int:
        """Positions there is memory for."""
        return self._keys.shape[3]

    def advance(self, tokens: int) -> None:
        """After all layers have appended them, `tokens` more positions are held."""
        self._length.value += tokens

    def widen(self, n: int) -> None:
        self.keep([0] * n)

    def keep(self, rows: Sequence[int]) -> None:
        order = torch.tensor(rows, device=self._keys.device)
        self._keys = self._keys.index_select(1, order)
        self._values = self._values.index_select(1, order)
        self.recorded = None

    def rewind(self, length: int) -> bool:
        self._length.value = min(self.length, length)
        return True


def _longer(memory: Tensor, more: int) -> Tensor:
    size = list(memory.shape)
    size[3] = more
    return torch.cat((memory, memory.new_zeros(size)), dim=3)  # masked, not skipped, in graphs
