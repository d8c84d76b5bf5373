"""Neutral weight records: one tensor of a checkpoint, in the number format its file holds.

What the three kinds compute is written here and nowhere else; who packs them so is left to
`awq` and `gguf_blocks`, and which kernel multiplies by them to the engine. N and K are a linear
layer's outputs and inputs, G the number of neighbouring inputs that share a scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dense:
    """A tensor as it is, perhaps a view into a memory-mapped file: not to be written to."""

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    def take_rows(self, order: Tensor) -> Dense:
        """The record whose row i is this one's row `order[i]`."""
        return Dense(self.tensor[order])

    def dense(self, dtype: torch.dtype, device: torch.device | None = None) -> Tensor:
        """The tensor on `device` in `dtype`; not copied if it is so already."""
        return self.tensor.to(device=device, dtype=dtype)


@dataclass(frozen=True)
class Int4:
    """w = (q - point) * scale + minimum, computed in float32.

    `q` is uint8 [N, K] with values 0..15; the rest is [N, K/G] and exactly what the file holds.
    AWQ has points, Q4_0 the point 8 everywhere, Q4_1 minima and no points.
    """

    q: Tensor
    scale: Tensor
    group_size: int
    points: Tensor | int = 0
    minima: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.q.shape)

    def take_rows(self, order: Tensor) -> Int4:
        """The record whose row i is this one's row `order[i]`."""
        points = self.points if isinstance(self.points, int) else self.points[order]
        minima = None if self.minima is None else self.minima[order]
        return Int4(self.q[order], self.scale[order], self.group_size, points, minima)

    def dense(self, dtype: torch.dtype, device: torch.device | None = None) -> Tensor:
        """The weight [N, K]: moved while it is small, dequantized in float32, then cast."""
        w = _by_group(self.q.to(device), self.group_size)
        w.sub_(self.points if isinstance(self.points, int) else _column(self.points, device))
        w.mul_(_column(self.scale, device))
        if self.minima is not None:
            w.add_(_column(self.minima, device))
        return w.flatten(-2).to(dtype)


@dataclass(frozen=True)
class Int8:
    """w = q * scale in float32; `q` is int8 [N, K], `scale` [N, K/G] as the file holds it."""

    q: Tensor
    scale: Tensor
    group_size: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.q.shape)

    def take_rows(self, order: Tensor) -> Int8:
        """The record whose row i is this one's row `order[i]`."""
        return Int8(self.q[order], self.scale[order], self.group_size)

    def dense(self, dtype: torch.dtype, device: torch.device | None = None) -> Tensor:
        """The weight [N, K]: moved while it is small, dequantized in float32, then cast."""
        groups = _by_group(self.q.to(device), self.group_size)
        return groups.mul_(_column(self.scale, device)).flatten(-2).to(dtype)


def _by_group(q: Tensor, group_size: int) -> Tensor:
    """[N, K] integers → float32 [N, K/G, G], new memory."""
    return q.view(*q.shape[:-1], -1, group_size).float()


def _column(table: Tensor, device: torch.device | None) -> Tensor:
    """A number a group, float32 [N, K/G, 1]."""
    return table.to(device).float().unsqueeze(-1)


Weight = Dense | Int4 | Int8
