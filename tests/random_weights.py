"""Random weights in every number format, and layers that hold them for our kernels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aira_cli.checkpoints.weights import Dense, Int4, Int8, Weight
from aira_cli.engine.local.linear import Linear
from aira_cli.engine.local.matrix import Matrix, PlainMatrix, pack_int4, pack_int8


def int4_points(outputs: int, inputs: int, group: int) -> Int4:
    """As AWQ has them: a scale and a zero point for each group."""
    points = torch.randint(0, 16, (outputs, inputs // group), dtype=torch.uint8)
    return Int4(_q4(outputs, inputs), _scales(outputs, inputs // group), group, points)


def int4_eight(outputs: int, inputs: int, group: int) -> Int4:
    """As Q4_0 has them, in any group."""
    return Int4(_q4(outputs, inputs), _scales(outputs, inputs // group), group, 8)


def int4_minima(outputs: int, inputs: int, group: int) -> Int4:
    """As Q4_1 has them, in any group."""
    scale = _scales(outputs, inputs // group)
    minima = (-15 * torch.rand(scale.shape) * scale.float()).half()
    return Int4(_q4(outputs, inputs), scale, group, minima=minima)


def int8_groups(outputs: int, inputs: int, group: int) -> Int8:
    """As Q8_0 has them, in any group."""
    return Int8(_q8(outputs, inputs), _scales(outputs, inputs // group), group)


def int8_rows(outputs: int, inputs: int, group: int) -> Int8:
    """One scale for an output, as rounding makes them; `group` does not count."""
    return Int8(_q8(outputs, inputs), _scales(outputs, 1).bfloat16(), inputs)


def float16(outputs: int, inputs: int, group: int) -> Dense:
    return Dense(torch.randn(outputs, inputs).half())


def bfloat16(outputs: int, inputs: int, group: int) -> Dense:
    return Dense(torch.randn(outputs, inputs).bfloat16())


def float32(outputs: int, inputs: int, group: int) -> Dense:
    return Dense(torch.randn(outputs, inputs))


INT4: dict[str, Callable[[int, int, int], Int4]] = {
    "int4-points": int4_points, "int4-eight": int4_eight, "int4-minima": int4_minima,
}  # fmt: skip
PACKED: dict[str, Callable[[int, int, int], Int4 | Int8]] = {
    **INT4, "int8-groups": int8_groups, "int8-rows": int8_rows,
}  # fmt: skip
PLAIN: dict[str, Callable[[int, int, int], Dense]] = {
    "float16": float16, "bfloat16": bfloat16, "float32": float32,
}  # fmt: skip
KINDS: dict[str, Callable[[int, int, int], Weight]] = {**PACKED, **PLAIN}


def native_matrix(record: Weight) -> Matrix:
    """The record as our kernels take it."""
    if isinstance(record, Dense):
        return PlainMatrix(record.tensor)
    packed = pack_int4(record) if isinstance(record, Int4) else pack_int8(record)
    assert packed is not None
    return packed


def native_layer(record: Weight, bias: Tensor | None = None) -> Linear:
    """A Linear that holds the record for our kernels."""
    outputs, inputs = record.shape
    layer = Linear(inputs, outputs, bias=bias is not None)
    if layer.bias is not None and bias is not None:
        layer.bias.data = bias
    layer.hold(native_matrix(record))
    return layer.requires_grad_(False)


def _q4(outputs: int, inputs: int) -> Tensor:
    return torch.randint(0, 16, (outputs, inputs), dtype=torch.uint8)


def _q8(outputs: int, inputs: int) -> Tensor:
    return torch.randint(-128, 128, (outputs, inputs), dtype=torch.int8)


def _scales(outputs: int, groups: int) -> Tensor:
    return (0.001 + 0.02 * torch.rand(outputs, groups)).half()
