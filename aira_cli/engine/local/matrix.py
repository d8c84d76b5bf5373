"""The matrices of a model, each in the form that the kernel of its device multiplies by.

    N  outputs   K  inputs   G  inputs that share a scale

`native` ones are for a CPU with our compiled kernels; `torch_kernels` holds those that torch's
own 4-bit and 8-bit kernels take; a dense one is a tensor in the number type that is computed
in. Which weight becomes what is decided in `choose`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aira_cli.checkpoints.weights import Int4, Int8
from aira_cli.engine.local.native import kernels
from aira_cli.engine.local.native.kernels import STRIP

_STRIPS_AT_ONCE = 128

#: Groups of more inputs overflow the integers in which our kernels add.
_LARGEST_GROUP = {4: 1024, 8: 128}


class Matrix(Protocol):
    """A weight [N, K] that rows can be multiplied by and whose own rows can be looked up."""

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x [..., K] → x wᵀ + bias [..., N], in x's type."""
        ...

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Rows of the weight for ids of any shape → [*shape, K] in `dtype`."""
        ...


class DenseMatrix(nn.Module):
    """A tensor [N, K] in the type that is computed in."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight: Tensor
        self.register_buffer("weight", weight)

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, self.weight, bias)

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        return self.weight[ids].to(dtype)


class NativeMatrix(nn.Module):
    """What our kernels multiply by: tensors, and a description with their addresses."""

    outputs: int
    inputs: int
    group = 0  # of packed weights: inputs that share a scale

    def describe(self, bias: Tensor | None) -> kernels.Weight:
        raise NotImplementedError

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        native = kernels.active()
        assert native is not None
        array = kernels.weights_array([self.describe(bias)])
        return native.product(array, x.contiguous(), self.outputs)

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        raise NotImplementedError


class PlainMatrix(NativeMatrix):
    """float16, bfloat16 or float32 [N, K] as it lies in the file, perhaps mapped from it."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight: Tensor
        self.register_buffer("weight", weight)
        self.outputs, self.inputs = weight.shape

    def describe(self, bias: Tensor | None) -> kernels.Weight:
        kind = kernels.PLAIN[self.weight.dtype]
        address = None if bias is None else bias.data_ptr()
        at = self.weight.data_ptr()
        return kernels.Weight(at, None, None, address, self.outputs, self.inputs, 0, kind)

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """By torch, which is faster for many rows."""
        return F.linear(x, self.weight.to(x.dtype), bias)

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        return self.weight[ids].to(dtype)


class PackedMatrix(NativeMatrix):
    """4-bit or 8-bit weights in strips of 32 outputs, as native/products.h describes them."""

    values: Tensor
    scale: Tensor
    offset: Tensor | None

    def __init__(
        self, kind: int, shape: tuple[int, int], group: int, tensors: dict[str, Tensor]
    ) -> None:
        super().__init__()
        self.kind, self.group = kind, group
        self.outputs, self.inputs = shape
        for name in ("values", "scale", "offset"):
            self.register_buffer(name, tensors.get(name))

    def describe(self, bias: Tensor | None) -> kernels.Weight:
        tables = (self.values, self.scale, self.offset, bias)
        addresses = (None if table is None else table.data_ptr() for table in tables)
        return kernels.Weight(*addresses, self.outputs, self.inputs, self.group, self.kind)

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        strip, lane = ids // STRIP, ids % STRIP
        q = self._integers(self.values[strip, :, lane]).float()  # ids K
        if self.kind == kernels.INT8_ROWS:
            wide: Tensor = (q - 128) * self.scale[ids][..., None]
            return wide.to(dtype)
        q = q.view(*ids.shape, -1, self.group)  # ids K/G G
        offset = None if self.offset is None else self.offset[strip, :, lane].float()[..., None]
        q = q - self._point(offset)
        w: Tensor = q * self.scale[strip, :, lane].float()[..., None]
        if self.kind == kernels.INT4_MINIMA:
            assert offset is not None
            w = w + offset
        return w.flatten(-2).to(dtype)

    def _point(self, offset: Tensor | None) -> Tensor | int:
        if self.kind == kernels.INT4_POINTS:
            assert offset is not None
            return offset
        return {kernels.INT4_EIGHT: 8, kernels.INT4_MINIMA: 0}.get(self.kind, 128)

    def _integers(self, packed: Tensor) -> Tensor:
        """[ids, K/8 or K/4, 4] bytes of single rows → [ids, K] values."""
        if self.kind > kernels.INT4_MINIMA:
            return packed.flatten(-2)
        return torch.stack((packed & 15, packed >> 4), dim=-2).flatten(-3)


def pack_int4(weight: Int4) -> PackedMatrix | None:
    """A 4-bit record as our kernels take it, or None: a group or a scale that they do not take."""
    outputs, inputs = weight.shape
    kind, offset = _int4_kind(weight)
    tables = [table for table in (weight.scale, offset) if table is not None]
    if not (takes(4, inputs, weight.group_size) and all(map(_is_float16, tables))):
        return None
    tensors = {"values": _strips(weight.q, _eight_values), "scale": _table(weight.scale)}
    if offset is not None:
        tensors["offset"] = _table(offset)
    return PackedMatrix(kind, (outputs, inputs), weight.group_size, tensors)


def _int4_kind(weight: Int4) -> tuple[int, Tensor | None]:
    """The kernel's name for the record's form, with the points or minima that it needs."""
    if weight.minima is not None:
        assert weight.points == 0
        return kernels.INT4_MINIMA, weight.minima
    if isinstance(weight.points, Tensor):
        return kernels.INT4_POINTS, weight.points
    assert weight.points == 8
    return kernels.INT4_EIGHT, None


def pack_int8(weight: Int8) -> PackedMatrix | None:
    """An 8-bit record as our kernels take it, or None."""
    outputs, inputs = weight.shape
    if weight.group_size == inputs:  # one scale for an output: groups are ours to choose
        group = next((g for g in (128, 64, 32) if inputs % g == 0), 0)
        scale, kind = _padded(weight.scale.float()).flatten(), kernels.INT8_ROWS
    else:
        group, kind = weight.group_size, kernels.INT8_GROUPS
        scale = _table(weight.scale)
        if not _is_float16(weight.scale):
            return None
    if not takes(8, inputs, group):
        return None
    values = _strips(weight.q.view(torch.uint8), _four_values)
    return PackedMatrix(kind, (outputs, inputs), group, {"values": values, "scale": scale})


def takes(bits: int, inputs: int, group: int) -> bool:
    """Whether our kernels have weights of 4 or 8 bits with a scale for `group` of the inputs."""
    return 0 < group <= _LARGEST_GROUP[bits] and group % 32 == 0 and inputs % group == 0


def _is_float16(table: Tensor) -> bool:
    """Whether float16 holds all numbers of the table exactly."""
    return torch.equal(table.half().to(table.dtype), table)


def _padded(x: Tensor) -> Tensor:
    """Rows of zeros up to a whole number of strips."""
    return F.pad(x, (0, 0, 0, -len(x) % STRIP))


def _strips(q: Tensor, bytes_of: Callable[[Tensor], Tensor]) -> Tensor:
    """uint8 [N, K] → [N/32, K/8 or K/4, 32, 4], some strips at a time: a vocabulary is large."""
    count = -(-len(q) // STRIP)
    packed = None
    for start in range(0, count, _STRIPS_AT_ONCE):
        rows = q[start * STRIP : (start + _STRIPS_AT_ONCE) * STRIP]
        some = bytes_of(_padded(rows))
        some = some.view(-1, STRIP, *some.shape[1:]).transpose(1, 2)
        if packed is None:
            packed = some.new_empty((count, *some.shape[1:]))
        packed[start : start + len(some)] = some
    assert packed is not None
    return packed


def _eight_values(q: Tensor) -> Tensor:
    """[N, K] of 4 bits → [N, K/8, 4]: the first four of eight in the low halves of the bytes."""
    first, second = q.view(len(q), -1, 2, 4).unbind(2)
    return first | (second << 4)


def _four_values(q: Tensor) -> Tensor:
    """[N, K] signed → [N, K/4, 4], unsigned by adding 128."""
    return (q ^ 128).view(len(q), -1, 4)


def _table(table: Tensor) -> Tensor:
    """[N, K/G] → float16 [N/32, K/G, 32]"""
    return _padded(table.half()).view(-1, STRIP, table.shape[1]).transpose(1, 2).contiguous()
