"""GGUF's tensor types to weight records, in torch: F32, F16, BF16, Q8_0, Q4_0 and Q4_1.

The block layouts are ggml's (ggml-common.h): 32 neighbouring weights of a row share a float16
scale d, Q4_1 also a float16 minimum m; byte i of a 4-bit block holds weights i and i + 16.
"""

from __future__ import annotations

import torch
from gguf.constants import GGMLQuantizationType
from torch import Tensor

from aira_cli.checkpoints.weights import Dense, Int4, Int8, Weight

BLOCK = 32
DENSE_TYPES = {
    GGMLQuantizationType.F32: torch.float32,
    GGMLQuantizationType.F16: torch.float16,
    GGMLQuantizationType.BF16: torch.bfloat16,
}


def weight_from_bytes(raw: Tensor, kind: GGMLQuantizationType, shape: tuple[int, ...]) -> Weight:
    """The record of a tensor of `shape` whose bytes in the file are `raw`, uint8 and flat."""
    if kind in DENSE_TYPES:
        return Dense(raw.view(DENSE_TYPES[kind]).view(shape))
    blocks = raw.view(*shape[:-1], shape[-1] // BLOCK, -1)  # N K/32 bytes
    if kind == GGMLQuantizationType.Q8_0:
        q = blocks[..., 2:].contiguous().view(torch.int8)
        return Int8(q.flatten(-2), _float16(blocks, 0), BLOCK)
    d = _float16(blocks, 0)
    if kind == GGMLQuantizationType.Q4_0:
        return Int4(_nibbles(blocks[..., 2:]), d, BLOCK, points=8)
    return Int4(_nibbles(blocks[..., 4:]), d, BLOCK, minima=_float16(blocks, 2))


def _float16(blocks: Tensor, at: int) -> Tensor:
    """The number in bytes `at` and `at` + 1 of each block, float16 [N, K/32]."""
    return blocks[..., at : at + 2].contiguous().view(torch.float16).squeeze(-1)


def _nibbles(packed: Tensor) -> Tensor:
    """uint8 [N, K/32, 16] → uint8 [N, K], values 0..15."""
    q = packed.new_empty(*packed.shape[:-1], BLOCK)
    torch.bitwise_and(packed, 15, out=q[..., : BLOCK // 2])
    torch.bitwise_right_shift(packed, 4, out=q[..., BLOCK // 2 :])
    return q.flatten(-2)
