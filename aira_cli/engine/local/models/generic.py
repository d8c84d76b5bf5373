"""Any transformers causal language model behind the step interface.

The model class comes from transformers' own registry, never from a checkpoint's code. Weights
arrive as neutral records and are dequantized into it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import CONFIG_MAPPING, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
)

from aira_cli.checkpoints.open import Checkpoint
from aira_cli.engine.local.models.config import OLD_TABLES
from aira_cli.errors import CheckpointError
from aira_cli.printable import one_line

if TYPE_CHECKING:
    from aira_cli.engine.local.models.step import Cache


class KeyValueCache:
    """transformers' DynamicCache, of which rows and positions can be taken away."""

    def __init__(self, config: Any, device: torch.device) -> None:
        self.past = DynamicCache(config=config)
        self._device = device
        self._length = 0

    @property
    def length(self) -> int:
        return self._length

    def grow(self, tokens: int) -> None:
        self._length += tokens

    def widen(self, n: int) -> None:
        self.keep([0] * n)

    def keep(self, rows: Sequence[int]) -> None:
        self.past.reorder_cache(torch.tensor(rows, device=self._device))

    def rewind(self, length: int) -> bool:
        # Windowed and recurrent layers have forgotten what a rewind would bring back.
        if any(type(layer) is not DynamicLayer for layer in self.past.layers):
            return False
        if length < self._length:
            self.past.crop(length - self._length)
            self._length = length
        return True


class IdsCache:
    """For models without keys and values to keep: the ids themselves, run again at each step."""

    def __init__(self, device: torch.device) -> None:
        self.ids = torch.empty((1, 0), dtype=torch.long, device=device)

    @property
    def length(self) -> int:
        return self.ids.shape[1]

    def widen(self, n: int) -> None:
        self.ids = self.ids.expand(n, -1)

    def keep(self, rows: Sequence[int]) -> None:
        self.ids = self.ids[list(rows)]

    def rewind(self, length: int) -> bool:
        self.ids = self.ids[:, :length]
        return True


class GenericModel:
    """A transformers causal language model as a StepModel."""

    def __init__(self, model: Any) -> None:
        self._model = model
        parameters = inspect.signature(model.forward).parameters
        # what is kept is `cache` from transformers 5.24 on, and was `past_key_values` before
        self._past = next((name for name in ("cache", "past_key_values") if name in parameters), "")
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    @property
    def device(self) -> torch.device:
        device: torch.device = self._model.device
        return device

    def new_cache(self) -> Cache:
        if self._past:
            return KeyValueCache(self._model.config, self.device)
        return IdsCache(self.device)

    def prefill(self, ids: Tensor, cache: Cache) -> Tensor:
        return self.step(ids, cache)

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        logits: Tensor = self._forward(ids, cache, self._last_only)[:, -1]
        return logits

    def all_logits(self, ids: Tensor, cache: Cache) -> Tensor:
        return self._forward(ids, cache, {})[0]

    def _forward(self, ids: Tensor, cache: Cache, options: dict[str, int]) -> Tensor:
        """ids [n, T] behind the cache → logits [n, T, V], or of fewer positions at the end."""
        if isinstance(cache, KeyValueCache):
            out = self._model(ids, use_cache=True, **{self._past: cache.past}, **options)
            cache.grow(ids.shape[1])
        else:
            assert isinstance(cache, IdsCache)
            cache.ids = torch.cat((cache.ids, ids), dim=1)
            out = self._model(cache.ids, use_cache=False, **options)
        logits: Tensor = out.logits
        return logits


def load_generic(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> GenericModel:
    """The checkpoint's architecture from transformers, filled with its dequantized weights.

    Raises CheckpointError for an architecture that transformers does not have, and for tensors
    that do not fit the configuration.
    """
    return GenericModel(load_transformers_model(checkpoint, device, dtype))


def load_transformers_model(
    checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype
) -> Any:
    """The same as a bare transformers model in evaluation mode."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    config = _transformers_config(checkpoint)
    state = {name: weight.dense(dtype) for name, weight in checkpoint.weights()}
    try:
        # transformers' own loader ties weights, renames what older releases saved under other
        # names and merges experts; it gets the tensors, and reports what it could not place.
        model, loading = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].from_pretrained(
            None, config=config, state_dict=state, dtype=dtype, output_loading_info=True,
            ignore_mismatched_sizes=True,
        )  # fmt: skip
    except RuntimeError as error:  # what it raises for tensors that it cannot convert
        raise CheckpointError(
            "weights_do_not_load", path=checkpoint.path, reason=one_line(str(error))
        ) from error
    _check_fit(checkpoint, loading)
    return model.eval().to(device)


def _transformers_config(checkpoint: Checkpoint) -> Any:
    """The configuration as transformers' own class; quantization is ours, so it is left out."""
    fields = {k: v for k, v in checkpoint.config.items() if k not in ("quantization_config",)}
    model_type = fields.pop("model_type", None)
    # By name: walking the mapping itself imports every configuration there is, five seconds.
    if model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise CheckpointError(
            "architecture_unknown", path=checkpoint.path, name=one_line(str(model_type))
        )
    try:
        return CONFIG_MAPPING[model_type].from_dict(fields)
    except (TypeError, ValueError, KeyError, AttributeError, StrictDataclassError) as error:
        raise CheckpointError(
            "config_invalid", path=checkpoint.path, reason=one_line(str(error))
        ) from error


def _check_fit(checkpoint: Checkpoint, loading: dict[str, Any]) -> None:
    for name, found, expected in sorted(loading["mismatched_keys"]):
        raise CheckpointError(
            "tensor_shape_mismatch",
            path=checkpoint.path, name=name, expected=list(expected), found=list(found),
        )  # fmt: skip
    for name in sorted(loading["missing_keys"]):
        raise CheckpointError("tensor_missing", path=checkpoint.path, name=name)
    for name in sorted(loading["unexpected_keys"]):
        if not OLD_TABLES.search(name):
            raise CheckpointError("tensor_unexpected", path=checkpoint.path, name=name)
