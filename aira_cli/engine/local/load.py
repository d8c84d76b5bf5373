"""From a checkpoint to a model that steps: our own decoder where it does all the checkpoint asks.

Everything else goes to `models/generic.py`, which alone needs transformers: an own decoder
spares its import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from aira_cli.checkpoints.open import Checkpoint
from aira_cli.engine.local.kv_cache import KVCache
from aira_cli.engine.local.models import bloom, gpt2, llama
from aira_cli.engine.local.models.step import Cache, StepModel
from aira_cli.errors import CheckpointError

ARCHITECTURES: dict[str, ModuleType] = {"bloom": bloom, "gpt2": gpt2, "llama": llama}

# Tables that older releases of transformers saved and that models now compute for themselves.
_HARMLESS = re.compile(r"rotary_emb\.inv_freq$|attn\.(masked_)?bias$|position_ids$")


class OwnDecoder:
    """A decoder of ours as a StepModel."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        self._model = model
        self._dtype = dtype
        self.device: torch.device = model.lm_head.weight.device

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


def load_model(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> StepModel:
    """The checkpoint's weights on `device`, in `dtype`, in the decoder that does them justice.

    Raises CheckpointError for tensors that do not fit the configuration.
    """
    module = own_architecture(checkpoint.config)
    if module is None:
        from aira_cli.engine.local.models.generic import load_generic

        return load_generic(checkpoint, device, dtype)
    with torch.device("meta"):
        model = module.Model(module.config_of(checkpoint.config))
    fill(model, checkpoint, module.BASE_PREFIX, device, dtype)
    return OwnDecoder(model.eval(), dtype)


@torch.no_grad()
def fill(
    model: nn.Module, checkpoint: Checkpoint, prefix: str, device: torch.device, dtype: torch.dtype
) -> None:
    """Gives every parameter of `model`, which is on the meta device, its tensor, one at a time.

    Names may lack the base model's `prefix`. A tied output head may be stored or not.
    """
    tied = model.get_parameter("lm_head.weight")
    slots = dict(model.named_parameters(remove_duplicate=False))
    filled: dict[str, Tensor] = {}
    for name, weight in checkpoint.weights():
        slot = name if name in slots else prefix + name
        if slot not in slots:
            if _HARMLESS.search(name):
                continue
            raise CheckpointError("tensor_unexpected", path=checkpoint.path, name=name)
        if weight.shape != tuple(slots[slot].shape):
            raise CheckpointError(
                "tensor_shape_mismatch", path=checkpoint.path, name=name,
                expected=list(slots[slot].shape), found=list(weight.shape),
            )  # fmt: skip
        filled[slot] = weight.dense(dtype, device)
    for slot, parameter in slots.items():
        if slot not in filled and parameter is tied:
            twin = next((s for s, p in slots.items() if p is tied and s in filled), slot)
            filled[slot] = filled.get(twin, parameter)
        if slot not in filled or filled[slot].is_meta:
            raise CheckpointError("tensor_missing", path=checkpoint.path, name=slot)
        owner, _, leaf = slot.rpartition(".")
        value = nn.Parameter(filled[slot], requires_grad=False)
        setattr(model.get_submodule(owner), leaf, value)
