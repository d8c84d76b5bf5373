"""A weight record and a low-rank product, added up into a record of one tensor.

    W + scale · B A      W [N, K]   B [N, R]   A [R, K]

In which form the sum is kept is decided in `adapter`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aira_cli.checkpoints.forms import Form
from aira_cli.checkpoints.weights import Dense, Int8, Weight

_LARGEST = 127
_LEAST_HALF = 2**-24  # of float16, above zero


def merged(weight: Weight, left: Tensor, right: Tensor, scale: float, form: Form) -> Weight:
    """weight [N, K] + scale · left [N, R] right [R, K], added in float32, kept in `form`."""
    total = torch.addmm(weight.dense(torch.float32), left.float(), right.float(), alpha=scale)
    if form.is_packed:
        return _eight_bits(total, form.group_size)
    return Dense(total.half() if form.bits == 16 else total)


def _eight_bits(weight: Tensor, group: int) -> Int8:
    """[N, K] → w = q · scale with a float16 scale for each `group` of inputs."""
    groups = weight.view(len(weight), -1, group)
    scale = (groups.abs().amax(dim=2) / _LARGEST).half()
    steps = scale.float().clamp_min(_LEAST_HALF)[..., None]
    q = (groups / steps).round_().clamp_(-_LARGEST, _LARGEST)
    return Int8(q.to(torch.int8).flatten(1), scale, group)
