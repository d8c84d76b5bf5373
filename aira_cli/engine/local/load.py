"""From a checkpoint to a model that steps: our own decoder where it does all the checkpoint asks.

Everything else goes to `models/generic.py`, which alone needs transformers: an own decoder
spares its import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from aira_cli.checkpoints.open import Checkpoint
from aira_cli.checkpoints.weights import Dense, Weight
from aira_cli.engine.local.choose import Use, choose, layers_of
from aira_cli.engine.local.copies import Copy
from aira_cli.engine.local.device import ROUNDED, Precision
from aira_cli.engine.local.graphs import Graph, Seen, capture
from aira_cli.engine.local.kv_cache import KVCache
from aira_cli.engine.local.linear import Linear
from aira_cli.engine.local.memory import own_parts, require_memory, whole_parts
from aira_cli.engine.local.models import bloom, gpt2, llama
from aira_cli.engine.local.models.config import OLD_TABLES
from aira_cli.engine.local.models.step import Cache, StepModel
from aira_cli.engine.local.native import kernels
from aira_cli.engine.local.native.kernels import Kernels
from aira_cli.engine.local.prepared import restore, write
from aira_cli.engine.local.recorded import Recorded, record
from aira_cli.errors import CheckpointError, UsageError

ARCHITECTURES: dict[str, ModuleType] = {"bloom": bloom, "gpt2": gpt2, "llama": llama}


#: So many positions are read with activations of 16 bits, those behind them with 8: a question
#: and its instructions are read as exactly as answers are written, a long text twice as fast.
PRECISE = 40


class OwnDecoder:
    """A decoder of ours as a StepModel."""

    def __init__(self, model: Any, device: torch.device, dtype: torch.dtype) -> None:
        self._model = model
        self._dtype = dtype
        self.device = device

    def new_cache(self) -> KVCache:
        return KVCache(self._model.cache_shape, self.device, self._dtype)

    def prefill(self, ids: Tensor, cache: Cache) -> Tensor:
        logits: Tensor = self._model.head(self._read(ids, cache)[:, -1])
        return logits

    def all_logits(self, ids: Tensor, cache: Cache) -> Tensor:
        logits: Tensor = self._model.head(self._read(ids, cache)[0])
        return logits

    def _read(self, ids: Tensor, cache: Cache) -> Tensor:
        """A prompt's hidden states [1, T, C].

        Only positions decide what is read coarsely, so that a prompt read in parts equals one
        read at once.
        """
        assert isinstance(cache, KVCache)
        cache.reserve(ids.shape[1])
        native = kernels.active()
        if native is None:
            return self._hidden(ids, cache)
        precise = max(0, PRECISE - cache.length)
        parts = [self._hidden(ids[:, :precise], cache)] if precise else []
        if ids.shape[1] > precise:
            with native.coarse():
                parts.append(self._hidden(ids[:, precise:], cache))
        return torch.cat(parts, dim=1)

    def _hidden(self, ids: Tensor, cache: KVCache) -> Tensor:
        hidden: Tensor = self._model(*self._model.inputs(ids, cache.length), cache)
        cache.advance(ids.shape[1])
        return hidden

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        assert isinstance(cache, KVCache)
        cache.reserve(1)
        inputs = self._model.inputs(ids, cache.length)
        native = kernels.active()
        if self.device.type == "cuda":
            logits = self._captured_step(cache, inputs)
        elif native is not None:
            logits = self._recorded_step(native, cache, inputs)
        else:
            logits = self._logits(cache, *inputs)
        cache.advance(1)
        return logits

    def _captured_step(self, cache: KVCache, inputs: tuple[Tensor, ...]) -> Tensor:
        if cache.recorded is None:
            cache.seen = Seen.of(cache.room, self.device, self._dtype)
            step = partial(self._logits, cache)
            cache.recorded = capture(step, inputs, cache.seen, cache.length)
            cache.seen = None
        graph = cache.recorded
        assert isinstance(graph, Graph)
        if graph.captured is None:
            return self._logits(cache, *inputs)
        return graph.replay(inputs, cache.length)

    def _recorded_step(self, native: Kernels, cache: KVCache, inputs: tuple[Tensor, ...]) -> Tensor:
        known = cache.recorded
        if known is None:
            cache.recorded, logits = record(native, partial(self._logits, cache), inputs)
            return logits
        assert isinstance(known, Recorded)
        if not known.tape.whole:
            return self._logits(cache, *inputs)
        return known.replay(native, inputs)

    def _logits(self, cache: KVCache, *inputs: Tensor) -> Tensor:
        """Logits [n, V] of the last position."""
        logits: Tensor = self._model.head(self._model(*inputs, cache)[:, -1])
        return logits


def own_architecture(config: Mapping[str, Any]) -> ModuleType | None:
    """The module of ours that does all that `config` asks for, or None."""
    module = ARCHITECTURES.get(str(config.get("model_type")))
    return module if module is not None and module.config_of(config) is not None else None


def load_model(
    checkpoint: Checkpoint,
    device: torch.device,
    precision: Precision,
    *,
    prepared: Path | None = None,
) -> StepModel:
    """The checkpoint's weights on `device`, in the decoder that does them justice.

    `prepared` is the folder of prepared copies; weights that our kernels take are mapped from
    there, and written there the first time. Raises CheckpointError for tensors that do not fit
    the configuration, and UsageError for rounded weights in an architecture that has no
    decoder of ours, AiraError where `device` has too little memory for them.
    """
    module = own_architecture(checkpoint.config)
    if module is None:
        if precision.weights in ROUNDED:
            name = checkpoint.config.get("model_type")
            raise UsageError("rounding_unsupported", dtype=precision.weights, name=name)
        parts = whole_parts(checkpoint)
        for place in dict.fromkeys((torch.device("cpu"), device)):  # transformers fills the first
            require_memory(parts, place, precision, smaller=("bfloat16",))
        from aira_cli.engine.local.models.generic import load_generic

        return load_generic(checkpoint, device, precision.dtype)
    model = _blank(module, checkpoint)
    parts = own_parts(model, checkpoint, module.BASE_PREFIX)
    require_memory(parts, device, precision, smaller=ROUNDED)
    if prepared is None or device.type != "cpu" or kernels.active() is None:
        fill(model, checkpoint, module.BASE_PREFIX, device, precision)
    else:
        copy = Copy.of(checkpoint, precision, prepared)
        if not restore(copy, model, precision.dtype):
            model = _blank(module, checkpoint)
            fill(model, checkpoint, module.BASE_PREFIX, device, precision)
            write(copy, model)
    return OwnDecoder(model.eval(), device, precision.dtype)


def _blank(module: ModuleType, checkpoint: Checkpoint) -> nn.Module:
    """The checkpoint's model without weights, on the meta device."""
    with torch.device("meta"):
        model: nn.Module = module.Model(module.config_of(checkpoint.config))
    return model


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
        place(model, twins, weight, device, precision)
        missing.difference_update(twins)
    for slot in sorted(missing):
        raise CheckpointError("tensor_missing", path=checkpoint.path, name=slot)


def place(
    model: nn.Module,
    slots: Sequence[str],
    weight: Weight,
    device: torch.device,
    precision: Precision,
) -> None:
    """Puts `weight` at `slots`, which are one or tied: a matrix in the form its kernel wants."""
    layers = layers_of(model, slots)
    if not layers:
        parameter = nn.Parameter(weight.dense(precision.dtype, device), requires_grad=False)
        for slot in slots:
            owner, _, leaf = slot.rpartition(".")
            setattr(model.get_submodule(owner), leaf, parameter)
        return
    if any(isinstance(layer, Linear) and layer.transposed for layer in layers):
        weight = Dense(weight.dense(torch.float32).T.contiguous())
    matrix = choose(weight, device, precision, Use.of(slots, layers))
    for layer in layers:
        if isinstance(layer, Linear):
            layer.hold(matrix)
        else:
            layer.hold(matrix, precision.dtype)
