"""Llama's layers for training: frozen weights, and an adapter beside each, in few passes.

The whole layer is given to torch.compile, so that what lies between the products is one pass over
memory each. What is learned and kept is `lora.py`'s.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from training.eight_bits import EightBits, eight_bit_product

Frozen: TypeAlias = Tensor | EightBits


class Shape(NamedTuple):
    """What a layer's tensors do not tell."""

    head: int  # size of a head
    epsilon: float
    scale: float  # of the adapter's products


class Linears(NamedTuple):
    """Linear layers with one input: their frozen weights in one, and each one's adapter.

    `frozen` [N, K] stands for all, one below the other; a [R, K] and b [M, R] for each, ΣM = N.
    """

    frozen: Frozen
    a: tuple[Tensor, ...]
    b: tuple[Tensor, ...]


class Layer(NamedTuple):
    """A layer of the decoder: norms [K], and the linear layers by what they read."""

    first_norm: Tensor
    qkv: Linears
    out: Linears
    second_norm: Tensor
    gate_up: Linears
    down: Linears


def forward(x: Tensor, turn: tuple[Tensor, Tensor], layer: Layer, shape: Shape) -> Tensor:
    """x [B, T, C] after one layer; `turn` is cosine and sine [T, head] of each position."""
    mixed = attended(rms_norm(x, layer.first_norm, shape), turn, layer.qkv, shape)
    x = x + adapted(mixed, layer.out, shape)
    return x + adapted(
        gated(rms_norm(x, layer.second_norm, shape), layer, shape), layer.down, shape
    )


def surprise(x: Tensor, targets: Tensor, norm: Tensor, head: Tensor, shape: Shape) -> Tensor:
    """The mean negative log-likelihood of `targets` [N], in nats, at positions x [N, C]."""
    return F.cross_entropy(frozen(rms_norm(x, norm, shape), head), targets)


def largest_inputs(
    x: Tensor, turn: tuple[Tensor, Tensor], layer: Layer, shape: Shape
) -> tuple[Tensor, list[Tensor]]:
    """x after the layer, and the largest size of each channel that its four `Linears` read."""
    first = rms_norm(x, layer.first_norm, shape)
    mixed = attended(first, turn, layer.qkv, shape)
    x = x + adapted(mixed, layer.out, shape)
    second = rms_norm(x, layer.second_norm, shape)
    inner = gated(second, layer, shape)
    seen = [largest_of(each) for each in (first, mixed, second, inner)]
    return x + adapted(inner, layer.down, shape), seen


def largest_of(x: Tensor) -> Tensor:
    return x.abs().flatten(0, -2).amax(0)


def attended(x: Tensor, turn: tuple[Tensor, Tensor], qkv: Linears, shape: Shape) -> Tensor:
    """Grouped-query attention of each position to itself and those before it: [B, T, C]."""
    parts = adapted(x, qkv, shape).split([len(b) for b in qkv.b], -1)
    q, k, v = (part.unflatten(-1, (-1, shape.head)).transpose(1, 2) for part in parts)  # B H T D
    shared = q.shape[1] // k.shape[1]
    k, v = turned(k, turn).repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
    mixed = F.scaled_dot_product_attention(turned(q, turn), k, v, is_causal=True)
    return mixed.transpose(1, 2).flatten(2)


def gated(x: Tensor, layer: Layer, shape: Shape) -> Tensor:
    gate, up = adapted(x, layer.gate_up, shape).chunk(2, -1)
    return F.silu(gate) * up


def adapted(x: Tensor, linears: Linears, shape: Shape) -> Tensor:
    """x Wᵀ + scale · x Aᵀ Bᵀ for [B, T, K], of all layers side by side: [B, T, N]."""
    flat = x.flatten(0, -2)
    inner = (flat @ torch.cat(linears.a).T * shape.scale).chunk(len(linears.a), -1)
    added = [part @ b.T for part, b in zip(inner, linears.b, strict=True)]
    return (frozen(flat, linears.frozen) + torch.cat(added, -1)).unflatten(0, x.shape[:-1])


def frozen(x: Tensor, weight: Frozen) -> Tensor:
    """x [B, K] Wᵀ in float32, multiplied in the weight's type."""
    if isinstance(weight, Tensor):
        return F.linear(x.to(weight.dtype), weight).float()
    return eight_bit_product(x, weight)


def turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions (Su et al. 2021), halves of a head against each other."""
    low, high = x.chunk(2, -1)
    return x * turn[0] + torch.cat((-high, low), -1) * turn[1]


def rms_norm(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + shape.epsilon) * weight
