"""Random weights and the two packings of 4-bit ones: AWQ GEMM and GGUF's Q4_0, on numpy.

    N  outputs   K  inputs   G  inputs that share a scale   w = (q - 8) * scale

Zero points are 8 everywhere, so that Q4_0, which has no others, holds the very same weights.
A tensor's values depend on its number alone: it can be made again for another file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POOL = 1_000_003  # prime: rows of any length differ from each other
_STRIDE = 7_919
_DEVIATION = 0.02
# A uniform q has a deviation of 4.6 steps, so these scales give about the same as _DEVIATION.
_SCALES = (0.003, 0.0055)

ZERO_POINT = 8
Q4_0_BLOCK = 32

# Bits 4i..4i+3 of an AWQ word hold output column 8c + COLUMNS[i] (AutoAWQ's order map).
COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)


@dataclass(frozen=True)
class Quantized:
    """A linear layer in 4 bits: q uint8 [N, K] with values 0..15, scale float16 [N, K/G]."""

    q: NDArray[np.uint8]
    scale: NDArray[np.float16]


class RandomWeights:
    """Plausible values for a model's tensors, cut from one small random block."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        self._normal = (draw.standard_normal(_POOL) * _DEVIATION).astype(np.float16)
        self._uniform = draw.integers(0, 16, _POOL, dtype=np.uint8)
        self._scales = draw.uniform(*_SCALES, _POOL).astype(np.float16)

    def dense(self, name: str, number: int, shape: Sequence[int]) -> Iterator[NDArray[np.float16]]:
        """The float16 values of tensor `number` in pieces; a norm's weights are ones."""
        if len(shape) == 1 and name.endswith(".weight"):
            return iter([np.ones(shape, np.float16)])
        return _pieces(self._normal, number, prod(shape))

    def quantized(self, number: int, shape: Sequence[int], group: int) -> Quantized:
        outputs, inputs = shape
        q = _whole(self._uniform, number, (outputs, inputs))
        return Quantized(q, _whole(self._scales, number, (outputs, inputs // group)))


def _pieces(pool: NDArray[Any], number: int, count: int) -> Iterator[NDArray[Any]]:
    """`count` values from the pool, round and round from a place that `number` determines."""
    start = number * _STRIDE % len(pool)
    while count > 0:
        piece = pool[start : start + count]
        yield piece
        count, start = count - len(piece), 0


def _whole(pool: NDArray[Any], number: int, shape: Sequence[int]) -> NDArray[Any]:
    return np.concatenate(list(_pieces(pool, number, prod(shape)))).reshape(shape)


def awq_tensors(layer: Quantized) -> dict[str, NDArray[Any]]:
    """The layer as AutoAWQ's GEMM version stores it: qweight [K, N/8], qzeros, scales [K/G, N]."""
    scales = layer.scale.T.copy()
    zeros = np.full(scales.shape, ZERO_POINT, np.uint8)
    return {"qweight": awq_words(layer.q.T), "qzeros": awq_words(zeros), "scales": scales}


def awq_words(values: NDArray[np.uint8]) -> NDArray[np.int32]:
    """[R, N] values 0..15 → int32 [R, N/8], eight neighbouring columns a word."""
    columns = values.reshape(len(values), -1, 8)[..., list(COLUMNS)]  # R N/8 8
    low, high = columns[..., 0::2], columns[..., 1::2]
    words = np.ascontiguousarray(low | high << 4).view("<i4")
    return words.reshape(len(values), -1)


def q4_0_blocks(layer: Quantized) -> NDArray[np.uint8]:
    """The layer as rows of ggml's Q4_0 blocks, uint8 [N, K/32 * 18].

    A block is a float16 scale and 16 bytes, of which byte i holds weights i and i + 16.
    """
    outputs, inputs = layer.q.shape
    blocks = layer.q.reshape(outputs, -1, 2, Q4_0_BLOCK // 2)  # N K/32 halves 16
    nibbles = blocks[:, :, 0] | blocks[:, :, 1] << 4
    repeats = inputs // layer.scale.shape[1] // Q4_0_BLOCK
    scale = layer.scale.repeat(repeats, axis=1)[..., None].view(np.uint8)  # N K/32 2
    return np.concatenate((scale, nibbles), axis=-1).reshape(outputs, -1)
