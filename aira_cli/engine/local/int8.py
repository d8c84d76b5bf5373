"""Weights rounded to 8 bits when they are loaded: a quarter of float32's memory and traffic.

    N  outputs   K  inputs   w = q * scale,  q int8 [N, K],  one scale for each output

The scale is a bfloat16 number before the weight is divided by it, because that is what torch's
kernel multiplies by: nothing is rounded twice. Only weights are rounded to 8 bits; activations
go through the kernel in bfloat16, each row by itself, so a sample does not depend on the
samples beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LARGEST = 127
_BLOCK_ROWS = 4096


def round_to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """weight [N, K] → q int8 [N, K] and scale bfloat16 [N], with |w - q * scale| ≤ scale / 2.

    A block of rows at a time: a vocabulary's embeddings in float32 would be gigabytes.
    """
    q = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
    scale = torch.empty(len(weight), dtype=torch.bfloat16, device=weight.device)
    for start in range(0, len(weight), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = weight[rows].float()
        scale[rows] = _scale(block.abs().amax(dim=1))
        q[rows] = (block / scale[rows].float()[:, None]).round_().to(torch.int8)
    return q, scale


def _scale(largest: Tensor) -> Tensor:
    """The smallest bfloat16 with which no weight up to `largest` needs a 128."""
    scale = (largest / _LARGEST).clamp_min(torch.finfo(torch.float32).tiny).bfloat16()
    short = scale.float() * _LARGEST < largest
    return torch.where(short, torch.nextafter(scale, torch.full_like(scale, torch.inf)), scale)


class Int8Weight(nn.Module):
    """What Int8Linear and Int8Embedding hold; two of them can share one (tied embeddings)."""

    q: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        q, scale = round_to_int8(weight)
        self.register_buffer("q", q)
        self.register_buffer("scale", scale)


class Int8Linear(nn.Module):
    """y = x wᵀ + bias for x [..., K] of any float type."""

    def __init__(self, weight: Int8Weight, bias: Tensor | None = None) -> None:
        super().__init__()
        self.int8, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        q, scale = self.int8.q, self.int8.scale
        if x.device.type == "cpu":
            rows = x.reshape(-1, x.shape[-1]).bfloat16()
            y = torch.ops.aten._weight_int8pack_mm(rows, q, scale).to(x.dtype)
            y = y.view(*x.shape[:-1], -1)
        else:
            y = F.linear(x, q.to(x.dtype)) * scale.to(x.dtype)
        out: Tensor = y if self.bias is None else y + self.bias
        return out


class Int8Embedding(nn.Module):
    """Rows of the weight for ids of any shape, in `dtype`."""

    def __init__(self, weight: Int8Weight, dtype: torch.dtype) -> None:
        super().__init__()
        self.int8, self.dtype = weight, dtype

    def forward(self, ids: Tensor) -> Tensor:
        rows = self.int8.q[ids].to(self.dtype)
        return rows * self.int8.scale[ids].to(self.dtype)[..., None]
