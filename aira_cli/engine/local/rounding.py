"""Weights rounded to 8 or 4 bits when they are loaded, for models that come in more.

    N  outputs   K  inputs   G  inputs that share a scale

In 8 bits an output has one scale, in 4 bits every 32 inputs have a scale and a minimum. The
scale is rounded to the type that it is kept in before the weight is divided by it, so nothing
is rounded twice. It is plain rounding to the nearest: no sample of text is looked at.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aira_cli.checkpoints.weights import Int4, Int8

INT4_GROUP = 32
_LARGEST = 127
_BLOCK_ROWS = 4096
_LEAST_HALF = 2**-24  # of float16, above zero


def round_to_int8(weight: Tensor) -> Int8:
    """weight [N, K] → w = q * scale with one bfloat16 scale a row and |error| ≤ scale / 2.

    A block of rows at a time: a vocabulary's embeddings in float32 would be gigabytes.
    """
    q = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
    scale = torch.empty((len(weight), 1), dtype=torch.bfloat16, device=weight.device)
    for start in range(0, len(weight), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = weight[rows].float()
        scale[rows] = _scale(block.abs().amax(dim=1, keepdim=True))
        q[rows] = (block / scale[rows].float()).round_().to(torch.int8)
    return Int8(q, scale, weight.shape[1])


def _scale(largest: Tensor) -> Tensor:
    """The smallest bfloat16 with which no weight up to `largest` needs a 128."""
    scale = (largest / _LARGEST).clamp_min(torch.finfo(torch.float32).tiny).bfloat16()
    short = scale.float() * _LARGEST < largest
    return torch.where(short, torch.nextafter(scale, torch.full_like(scale, torch.inf)), scale)


def round_to_int4(weight: Tensor) -> Int4:
    """weight [N, K] → w = q * scale + minimum, float16 scale and minimum for 32 inputs each.

    K must be a multiple of 32.
    """
    q = torch.empty(weight.shape, dtype=torch.uint8, device=weight.device)
    tables = torch.empty((2, len(weight), weight.shape[1] // INT4_GROUP), dtype=torch.float16)
    for start in range(0, len(weight), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        groups = weight[rows].float().view(-1, weight.shape[1] // INT4_GROUP, INT4_GROUP)
        minimum = groups.amin(dim=2).half()
        scale = ((groups.amax(dim=2) - minimum.float()) / 15).half()
        steps = scale.float().clamp_min(_LEAST_HALF)[..., None]
        rounded = ((groups - minimum.float()[..., None]) / steps).round_().clamp_(0, 15)
        q[rows] = rounded.to(torch.uint8).flatten(1)
        tables[0, rows], tables[1, rows] = scale, minimum
    return Int4(q, tables[0], INT4_GROUP, minima=tables[1])
