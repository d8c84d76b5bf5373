"""How surprised our decoder is by a text: the exponential of its mean negative log-likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from aira_cli.bench.orders import Perplexity
from aira_cli.bench.ours import load_ours
from aira_cli.engine.local.models.step import StepModel
from aira_cli.errors import UsageError

_BLOCK = 64  # positions whose probabilities are computed at a time: a vocabulary is large


def perplexities(order: Perplexity) -> dict[str, Any]:
    """For each number type the perplexity over all windows and how many tokens were predicted,
    or why there is no such type for this model."""
    return {"formats": [{"dtype": dtype} | _outcome(order, dtype) for dtype in order.dtypes]}


def _outcome(order: Perplexity, dtype: str | None) -> dict[str, Any]:
    try:
        model = load_ours(replace(order.load, dtype=dtype))
    except UsageError as error:
        fields = {name: str(value) for name, value in error.fields.items()}
        return {"error": error.key, "error_fields": fields}
    return perplexity(model, order.ids, order.window)


def perplexity(model: StepModel, ids: Sequence[int], window: int) -> dict[str, Any]:
    """A window starts with nothing before it: its first token is given, the others predicted."""
    total, predicted = 0.0, 0
    for start in range(0, len(ids) - 1, window):
        part = torch.tensor(ids[start : start + window], device=model.device)
        total += surprise(model, part)
        predicted += len(part) - 1
    return {
        "perplexity": math.exp(total / predicted),
        "predicted_tokens": predicted,
        "window": window,
    }


@torch.inference_mode()
def surprise(model: StepModel, ids: Tensor) -> float:
    """The negative log-likelihood, in nats, of ids[1:] given what stands before each; ids [T]."""
    logits = model.all_logits(ids[None], model.new_cache())[:-1]  # T-1 V
    blocks = zip(torch.split(logits, _BLOCK), torch.split(ids[1:], _BLOCK), strict=True)
    return sum(
        float(F.cross_entropy(scores.float(), targets, reduction="sum"))
        for scores, targets in blocks
    )
