"""Products with frozen weights in 8 bits, for CPUs that multiply nothing faster.

The way of SwitchBack (Wortsman et al. 2023, "Stable and low-precision training for large-scale
vision-language models"): a layer's output and the gradient of its input are products of 8-bit
integers with a scale for each row; what is learned, the adapter beside it, stays in float32.
Channels far larger than the others would cost a row its precision; a part of their size is moved
into the weights first, as in SmoothQuant (Xiao et al. 2023), equation 4 with alpha 1/2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

LARGEST = 127
_TINY = 1e-12


class EightBits(NamedTuple):
    """A frozen weight [N, K] as `whole` [N, K] · `rows` [N] · `channels` [K]."""

    whole: Tensor  # 8-bit integers
    rows: Tensor
    channels: Tensor  # inputs are multiplied by them, the weight was divided by them


def in_eight_bits(weight: Tensor, largest: Tensor) -> EightBits:
    """`largest` [K] is the largest size that each channel of the inputs was seen to have."""
    ours = weight.abs().amax(0).clamp(min=_TINY)
    channels = (ours / largest.clamp(min=_TINY)).sqrt()
    whole, rows = _rounded(weight / channels)
    return EightBits(whole, rows.squeeze(1), channels)


def eight_bit_product(x: Tensor, weight: EightBits) -> Tensor:
    """x [B, K] Wᵀ: [B, N]. There is a gradient for x alone."""
    product: Tensor = _Product.apply(x, *weight)  # type: ignore[no-untyped-call]
    return product


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, whole: Tensor, rows: Tensor, channels: Tensor) -> Tensor:
        ctx.save_for_backward(whole, rows, channels)
        integers, scale = _rounded(x * channels)
        return torch._int_mm(integers, whole.T) * (scale * rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        whole, rows, channels = ctx.saved_tensors
        integers, scale = _rounded(gradient * rows)
        return torch._int_mm(integers, whole) * (scale * channels), None, None, None


def _rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [B, K] as integers and a scale for each row [B, 1]."""
    scale = x.abs().amax(-1, keepdim=True).clamp(min=_TINY) / LARGEST
    return (x / scale).round().to(torch.int8), scale
