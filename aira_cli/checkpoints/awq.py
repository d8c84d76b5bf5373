"""AWQ GEMM, as AutoAWQ packs a linear layer: three tensors to one `Int4` record.

`qweight` int32 [K, N/8], `qzeros` int32 [K/G, N/8], `scales` float16 [K/G, N]; each int32 holds
eight 4-bit values, w = (q - z) * s. Reading the three from a file is left to the folder.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from aira_cli.checkpoints.quantization import WHOLE_INPUT
from aira_cli.checkpoints.weights import Int4
from aira_cli.errors import CheckpointError

# Bits 4i..4i+3 hold output column 8c + (0, 2, 4, 6, 1, 3, 5, 7)[i] (AutoAWQ's order map), so
# column j of the eight lies at place PLACE_OF_COLUMN[j].
PLACE_OF_COLUMN = (0, 4, 1, 5, 2, 6, 3, 7)


def int4_from_awq(path: Path, layer: str, packed: dict[str, Tensor], group_size: int) -> Int4:
    """The record of `layer` from its `packed` tensors "qweight", "qzeros" and "scales".

    Raises CheckpointError where the three do not fit each other or the group size.
    """
    qweight, qzeros, scales = packed["qweight"], packed["qzeros"], packed["scales"]
    group = qweight.shape[0] if group_size == WHOLE_INPUT else group_size
    _check(path, layer, packed, group)
    scale = scales.t().contiguous()  # N K/G
    return Int4(_unpack(qweight), scale, group, points=_unpack(qzeros))


def _unpack(packed: Tensor) -> Tensor:
    """int32 [R, N/8] → uint8 [N, R], values 0..15. The bytes are those of a little-endian host."""
    pairs = packed.contiguous().view(torch.uint8).view(*packed.shape, 4)  # R N/8 4
    values = torch.stack((pairs & 15, pairs >> 4), dim=-1).flatten(-2)  # R N/8 8
    return values[..., list(PLACE_OF_COLUMN)].flatten(-2).t().contiguous()


def _check(path: Path, layer: str, packed: dict[str, Tensor], group: int) -> None:
    shapes = {kind: tuple(tensor.shape) for kind, tensor in packed.items()}
    inputs, packed_outputs = shapes["qweight"] if len(shapes["qweight"]) == 2 else (0, 0)
    groups = inputs // group if group else 0
    fits = (
        groups > 0
        and inputs % group == 0
        and shapes["qzeros"] == (groups, packed_outputs)
        and shapes["scales"] == (groups, 8 * packed_outputs)
        and packed["qweight"].dtype == packed["qzeros"].dtype == torch.int32
        and packed["scales"].is_floating_point()
    )
    if not fits:
        found = ", ".join(f"{kind} {list(shape)}" for kind, shape in shapes.items())
        raise CheckpointError("awq_shapes", path=path, name=layer, found=found, group_size=group)
