"""From a checkpoint to a model that steps: our own decoder where it does all the checkpoint asks.

Everything else goes to `models/generic.py`, which alone needs transformers: an own decoder
spares its import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from aira_cli.checkpoints.open import Checkpoint
from aira_cli.checkpoints.weights import Dense, Weight
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.int8 import Int8Embedding, Int8Linear, Int8Weight
from aira_cli.engine.local.kv_cache import KVCache
from aira_cli.engine.local.models import bloom, gpt2, llama
from aira_cli.engine.local.models.config import OLD_TABLES
from aira_cli.engine.local.models.step import Cache, StepModel
from aira_cli.errors import CheckpointError, UsageError

ARCHITECTURES: dict[str, ModuleType] = {"bloom": bloom, "gpt2": gpt2, "llama": llama}


class OwnDecoder:
    """A decoder of ours as a StepModel."""

    def __init__(self, model: Any, device: torch.device, dtype: torch.dtype) -> None:
        self._model = model
        self._dtype = dtype
        self.device = device

    def new_cache(self) -> KVCache:
        return KVCache(self._model.cache_shape, self.device, self._dtype)

    def prefill(self, ids: Tensor, cache: Cache) -> Tensor:
        return self.step(ids, cache)

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        assert isinstance(cache, KVCache)
        cache.reserve(ids.shape[1])
        logits: Tensor = self._model(ids, cache)
        cache.advance(ids.shape[1])
        return logits


def own_architecture(config: Mapping[str, Any]) -> ModuleType | None:
    """The module of ours that does all that `config` asks for, or None."""
    module = ARCHITECTURES.get(str(config.get("model_type")))
    return module if module is not None and module.config_of(config) is not None else None


def load_model(checkpoint: Checkpoint, device: torch.device, precision: Precision) -> StepModel:
    """The checkpoint's weights on `device`, in the decoder that does them justice.

    Raises CheckpointError for tensors that do not fit the configuration, and UsageError for
    8-bit weights in an architecture that has no decoder of ours.
    """
    module = own_architecture(checkpoint.config)
    if module is None:
        if precision.int8:
            raise UsageError("int8_unsupported", name=checkpoint.config.get("model_type"))
        from aira_cli.engine.local.models.generic import load_generic

        return load_generic(checkpoint, device, precision.dtype)
    with torch.device("meta"):
        model = module.Model(module.config_of(checkpoint.config))
    fill(model, checkpoint, module.BASE_PREFIX, device, precision)
    return OwnDecoder(model.eval(), device, precision.dtype)


@torch.no_grad()
def fill(
    model: nn.Module,
    checkpoint: Checkpoint,
    prefix: str,
    device: torch.device,
    precision: Precision,
) -> None:
    """Gives every parameter of `model`, which is on the meta device, its tensor, one at a time.

    Names may lack the base model's `prefix`. Tied parameters share what is stored for one of
    them; what is stored for the other as well is its own.
    """
    slots = dict(model.named_parameters(remove_duplicate=False))
    missing = set(slots)
    for name, weight in checkpoint.weights():
        slot = name if name in slots else prefix + name
        if slot not in slots:
            if OLD_TABLES.search(name):
                continue
            raise CheckpointError("tensor_unexpected", path=checkpoint.path, name=name)
        if weight.shape != tuple(slots[slot].shape):
            raise CheckpointError(
                "tensor_shape_mismatch", path=checkpoint.path, name=name,
                expected=list(slots[slot].shape), found=list(weight.shape),
            )  # fmt: skip
        twins = [other for other in missing if slots[other] is slots[slot]] or [slot]
        place(model, twins, _tensor(weight, device, precision), precision)
        missing.difference_update(twins)
    for slot in sorted(missing):
        raise CheckpointError("tensor_missing", path=checkpoint.path, name=slot)


def _tensor(weight: Weight, device: torch.device, precision: Precision) -> Tensor:
    """The weight as it is to be kept, or as exact as it comes where it will be rounded."""
    if precision.int8:
        dtype = weight.tensor.dtype if isinstance(weight, Dense) else torch.float32
        return weight.dense(dtype, device)
    return weight.dense(precision.dtype, device)


def place(model: nn.Module, slots: Sequence[str], tensor: Tensor, precision: Precision) -> None:
    """Puts `tensor` at `slots`, which are one or tied; a matrix product's weight in 8 bits if
    that was asked for, together with the embedding tied to it."""
    owners = {slot: model.get_submodule(slot.rpartition(".")[0]) for slot in slots}
    multiplies = any(isinstance(owner, nn.Linear | gpt2.Conv1D) for owner in owners.values())
    if not (precision.int8 and multiplies and tensor.ndim == 2):
        parameter = nn.Parameter(tensor.to(precision.dtype), requires_grad=False)
        for slot, owner in owners.items():
            setattr(owner, slot.rpartition(".")[2], parameter)
        return
    transposed = any(isinstance(owner, gpt2.Conv1D) for owner in owners.values())
    rounded = Int8Weight(tensor.T if transposed else tensor)
    for slot, owner in owners.items():
        path = slot.rpartition(".")[0]
        model.set_submodule(path, _in_8_bits(owner, rounded, precision.dtype))


def _in_8_bits(owner: nn.Module, weight: Int8Weight, dtype: torch.dtype) -> nn.Module:
    if isinstance(owner, nn.Embedding):
        return Int8Embedding(weight, dtype)
    bias = owner.bias
    assert bias is None or isinstance(bias, Tensor)
    return Int8Linear(weight, bias)
