"""One Linear and one Embedding for every form of a matrix, and products that belong together.

Layers with the same input run as one product, and a product can be added to what it belongs to
as it is computed: on a CPU each call less is time won. Where our kernels do not run, both are
what their names say in torch.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aira_cli.engine.local.matrix import Matrix, NativeMatrix, PlainMatrix
from aira_cli.engine.local.native import kernels
from aira_cli.engine.local.native.kernels import Kernels

#: From this many tokens of a prompt on, torch's product beats ours on 16- and 32-bit weights.
_MANY_TOKENS = 16


@dataclass(frozen=True)
class _Joined:
    """Native layers of one input as one product."""

    array: ctypes.Array[kernels.Weight]
    width: int
    plain: bool


class Linear(nn.Module):
    """y = x wᵀ + bias. Before `hold`, the weight is a parameter that has a name and a shape."""

    #: Whether checkpoints store the weight as [inputs, outputs].
    transposed = False

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        shape = (inputs, outputs) if self.transposed else (outputs, inputs)
        self.weight: Any = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self._joined: dict[int, _Joined | None] = {}

    def hold(self, matrix: Matrix) -> None:
        """From now on `matrix` is the weight."""
        del self.weight
        self.weight = matrix

    def forward(self, x: Tensor) -> Tensor:
        return project(x, self)

    def joined(self, layers: tuple[Linear, ...]) -> _Joined | None:
        """`layers`, of which this is the first, as one native product; None if they cannot be."""
        if len(layers) not in self._joined:
            self._joined[len(layers)] = _join(layers)
        return self._joined[len(layers)]


def _join(layers: tuple[Linear, ...]) -> _Joined | None:
    matrices = [layer.weight for layer in layers if isinstance(layer.weight, NativeMatrix)]
    if len(matrices) < len(layers):
        return None
    if len({matrix.group for matrix in matrices if matrix.group}) > 1:
        return None
    described = [m.describe(layer.bias) for m, layer in zip(matrices, layers, strict=True)]
    width = sum(matrix.outputs for matrix in matrices)
    plain = any(isinstance(matrix, PlainMatrix) for matrix in matrices)
    return _Joined(kernels.weights_array(described), width, plain)


def project(x: Tensor, *layers: Linear) -> Tensor:
    """x [..., K] through every layer, side by side → [..., outputs of all]."""
    joined, native = _native(x, layers)
    if joined is None or native is None:
        outputs: list[Tensor] = [layer.weight.multiply(x, layer.bias) for layer in layers]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
    return native.product(joined.array, x.contiguous(), joined.width)


def add_product(x: Tensor, layer: Linear, inputs: Tensor) -> Tensor:
    """x + layer(inputs) for x [..., N], which is overwritten where our kernels run."""
    joined, native = _native(x, (layer,))
    if joined is None or native is None:
        added: Tensor = layer.weight.multiply(inputs, layer.bias)
        return x + added
    native.add_product(joined.array, inputs.contiguous(), x)
    return x


def _native(x: Tensor, layers: tuple[Linear, ...]) -> tuple[_Joined | None, Kernels | None]:
    """The layers as one product of the kernels; None and None if torch has to do it."""
    native = kernels.active()
    if native is None:
        return None, None
    joined = layers[0].joined(layers)
    if joined is None or (joined.plain and _is_long(x)):
        native.leave_to_torch()
        return None, None
    return joined, native


def _is_long(x: Tensor) -> bool:
    """Whether x [B, T, K] holds many tokens of a prompt."""
    return x.ndim == 3 and x.shape[1] > _MANY_TOKENS


class Embedding(nn.Module):
    """Rows of the matrix for ids of any shape, in `dtype`."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.weight: Any = nn.Parameter(torch.empty(count, size))
        self.dtype = torch.float32

    def hold(self, matrix: Matrix, dtype: torch.dtype) -> None:
        """From now on `matrix` is the weight."""
        del self.weight
        self.weight, self.dtype = matrix, dtype

    def forward(self, ids: Tensor) -> Tensor:
        rows: Tensor = self.weight.rows(ids, self.dtype)
        return rows
