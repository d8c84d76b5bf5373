"""4-bit and 8-bit matrices for torch's own kernels: GPUs, and CPUs without a compiler.

    N  outputs   K  inputs   G  inputs that share a scale

Both kernels compute in bfloat16. The 4-bit one knows w = (q - 8) * scale + zero with scale and
zero in bfloat16, eight significant bits where a file's float16 has eleven. So a weight has two
tables, the numbers rounded to bfloat16 and what that left over, and a product is the sum of
two; where nothing is left over, it is one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aira_cli.checkpoints.weights import Int4, Int8

_GROUPS = (32, 64, 128, 256)  # inputs that share a scale, as torch's 4-bit kernels take them
_FIRST_GPU = (8, 0)  # the compute capability from which on the CUDA kernel exists


class Int4Matrix(nn.Module):
    """An `Int4` record in the layout of torch's kernel for `device`."""

    packed: Tensor
    tables: Tensor

    def __init__(self, weight: Int4, device: torch.device) -> None:
        super().__init__()
        self.outputs, self.inputs = weight.shape
        self.group = weight.group_size
        self.register_buffer("packed", _pack(weight.q.to(device)))
        self.register_buffer("tables", _tables(weight).to(device))

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x [..., K] → x wᵀ + bias, x rounded to bfloat16."""
        rows = x.reshape(-1, self.inputs).bfloat16()
        y = self._product(rows, self.tables[0])
        for left_over in self.tables[1:]:
            y = y + self._product(rows, left_over)
        y = y.to(x.dtype).view(*x.shape[:-1], self.outputs)
        return y if bias is None else y + bias

    def _product(self, rows: Tensor, table: Tensor) -> Tensor:
        aten = torch.ops.aten
        kernel = (
            aten._weight_int4pack_mm_for_cpu
            if rows.device.type == "cpu"
            else aten._weight_int4pack_mm
        )
        y: Tensor = kernel(rows, self.packed, self.group, table)
        return y

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        raise NotImplementedError  # embeddings are never given this form


def torch_int4(weight: Int4, device: torch.device) -> Int4Matrix | None:
    """The matrix for torch's kernel on `device`, or None where it has none for this weight."""
    taken = takes_int4(weight.shape, weight.group_size, device)
    return Int4Matrix(weight, device) if taken else None


def takes_int4(shape: Sequence[int], group: int, device: torch.device) -> bool:
    """Whether torch's kernel on `device` has 4-bit weights [N, K] with such groups."""
    outputs, inputs = shape
    if group not in _GROUPS or inputs % group or outputs % 16:
        return False
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _FIRST_GPU and inputs % 32 == 0
    return device.type == "cpu"


def _pack(q: Tensor) -> Tensor:
    """uint8 [N, K] with values 0..15 in the kernel's layout."""
    packed: Tensor
    if q.device.type == "cpu":
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q.int(), 8)
        return packed
    tiles = next(n for n in (8, 4, 2) if q.shape[1] % (16 * n) == 0)
    pairs = (q[:, ::2] << 4) | q[:, 1::2]  # N K/2
    packed = torch.ops.aten._convert_weight_to_int4pack(pairs.contiguous(), tiles)
    return packed


def _tables(weight: Int4) -> Tensor:
    """bfloat16 [1 or 2, K/G, N, 2]: scale and zero, and what rounding them left over."""
    scale = weight.scale.float()
    points = weight.points if isinstance(weight.points, int) else weight.points.float()
    zero = (8 - points) * scale
    if weight.minima is not None:
        zero = zero + weight.minima.float()
    exact = torch.stack((scale, zero), dim=-1).transpose(0, 1).contiguous()  # K/G N 2
    rounded = exact.bfloat16()
    left_over = (exact - rounded.float()).bfloat16()
    return torch.stack((rounded, left_over)) if left_over.any() else rounded[None]


class Int8Matrix(nn.Module):
    """w = q * scale, q int8 [N, K], one bfloat16 scale an output, for torch's weight-only kernel.

    Its dynamic kernel is faster, but the scale of its activations is taken over all rows, so
    that a sample would depend on the samples beside it.
    """

    q: Tensor
    scale: Tensor

    def __init__(self, weight: Int8, device: torch.device) -> None:
        super().__init__()
        self.register_buffer("q", weight.q.to(device))
        self.register_buffer("scale", weight.scale.flatten().bfloat16().to(device))

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x [..., K] → x wᵀ + bias; on a CPU x is rounded to bfloat16."""
        if x.device.type == "cpu":
            rows = x.reshape(-1, x.shape[-1]).bfloat16()
            y: Tensor = torch.ops.aten._weight_int8pack_mm(rows, self.q, self.scale)
            y = y.to(x.dtype).view(*x.shape[:-1], -1)
        else:
            y = F.linear(x, self.q.to(x.dtype)) * self.scale.to(x.dtype)
        return y if bias is None else y + bias

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        rows: Tensor = self.q[ids].to(dtype) * self.scale[ids].to(dtype)[..., None]
        return rows
