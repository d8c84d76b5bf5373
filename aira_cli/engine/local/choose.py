"""Which form a weight takes: by the device, by what was asked for, and by what it is used for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from aira_cli.checkpoints.weights import Dense, Int4, Int8, Weight
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.linear import Embedding, Linear
from aira_cli.engine.local.matrix import (
    DenseMatrix,
    Matrix,
    PlainMatrix,
    pack_int4,
    pack_int8,
)
from aira_cli.engine.local.native import kernels
from aira_cli.engine.local.native.kernels import LANES
from aira_cli.engine.local.rounding import INT4_GROUP, round_to_int4, round_to_int8
from aira_cli.engine.local.torch_matrix import Int8Matrix, torch_int4

HEAD = "lm_head.weight"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Use:
    """What a matrix is for: products, and the vocabulary's embeddings or logits."""

    multiplies: bool
    vocabulary: bool

    @classmethod
    def of(cls, slots: Sequence[str], layers: Sequence[Linear | Embedding]) -> Use:
        """By the `layers` that hold the matrix and the names of their parameters."""
        embeds = any(isinstance(layer, Embedding) for layer in layers)
        multiplies = any(isinstance(layer, Linear) for layer in layers)
        return cls(multiplies, vocabulary=embeds or HEAD in slots)


def layers_of(model: nn.Module, slots: Sequence[str]) -> list[Linear | Embedding]:
    """The layers whose weight the `slots` name; none for biases and what is no matrix."""
    if any(slot.endswith(".bias") for slot in slots):
        return []
    owners = (model.get_submodule(slot.rpartition(".")[0]) for slot in slots)
    return [owner for owner in owners if isinstance(owner, Linear | Embedding)]


def runs_native(device: torch.device, precision: Precision) -> bool:
    """Whether our kernels, rather than torch's, multiply."""
    on_cpu = device.type == "cpu" and kernels.active() is not None
    return on_cpu and precision.dtype == torch.float32


def choose(weight: Weight, device: torch.device, precision: Precision, use: Use) -> Matrix:
    """`weight` [N, K] on `device` in the smallest form that has a kernel and was asked for."""
    if precision.weights == "dense":
        weight = Dense(weight.dense(precision.dtype, device))
    elif use.multiplies:
        weight = _rounded(weight, precision, use)
    if runs_native(device, precision):
        return _native(weight)
    return _for_torch(weight, device, precision, use)


def _rounded(weight: Weight, precision: Precision, use: Use) -> Weight:
    """Fewer bits, where they were asked for and the weight has more.

    The vocabulary's matrix is what 4 bits hurt most; it is rounded to 8.
    """
    if not isinstance(weight, Dense) or precision.weights == "stored":
        return weight
    if precision.weights == "int4" and not use.vocabulary and weight.shape[1] % INT4_GROUP == 0:
        return round_to_int4(weight.tensor)
    return round_to_int8(weight.tensor)


def _native(weight: Weight) -> Matrix:
    if isinstance(weight, Int4):
        packed = pack_int4(weight)
    elif isinstance(weight, Int8):
        packed = pack_int8(weight)
    else:
        return _plain(weight)
    if packed is not None:
        return packed
    _say_dense(weight)
    return _plain(Dense(weight.dense(torch.float32)))


def _plain(weight: Dense) -> Matrix:
    tensor = weight.tensor
    if tensor.shape[1] % LANES or tensor.dtype not in kernels.PLAIN:
        return DenseMatrix(tensor.float())
    return PlainMatrix(tensor.contiguous())


def _for_torch(weight: Weight, device: torch.device, precision: Precision, use: Use) -> Matrix:
    if isinstance(weight, Int4) and not use.vocabulary:
        packed = torch_int4(weight, device)
        if packed is not None:
            return packed
        _say_dense(weight)
    if isinstance(weight, Int8) and weight.scale.shape[1] == 1:
        return Int8Matrix(weight, device)
    return DenseMatrix(weight.dense(precision.dtype, device))


def _say_dense(weight: Int4 | Int8) -> None:
    log.debug(
        "no kernel takes a weight %s with groups of %d: it is kept dense",
        list(weight.shape), weight.group_size,
    )  # fmt: skip
