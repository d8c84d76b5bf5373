"""Fills a torch module with a checkpoint's weights and refuses the ones that do not fit.

One tensor at a time: a dense tensor of the wanted type stays a view into the mapped file, every
other is converted and moved before the next is read. Knows nothing of transformers but that a
model may name its `base_model_prefix` and the tensors it ignores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aira_cli.checkpoints.open import Checkpoint
from aira_cli.checkpoints.weights import Weight
from aira_cli.errors import CheckpointError

# Tables that older releases of transformers saved and that models now compute for themselves.
HARMLESS = (r"rotary_emb\.inv_freq$", r"attn\.masked_bias$", r"position_ids$")


@dataclass(frozen=True)
class _Slot:
    """A place in the module: what fits there, and the names that share its tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    tied: tuple[str, ...]


@torch.no_grad()
def load_into(
    module: nn.Module, checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device
) -> None:
    """Fills every parameter and persistent buffer of `module`, in place, and moves it to `device`.

    Parameters become `dtype`; they may be on the meta device, since they are replaced. Buffers
    keep their type; those that no checkpoint holds (rotary tables) must be real already.
    Parameters that are one object in `module`, or that its `tie_weights` makes one, end up as one
    tensor unless the checkpoint holds different values for them. A checkpoint saved from the base
    model, without `module.base_model_prefix` in its names, fits too.

    Raises CheckpointError for a tensor that is missing, unexpected or of another shape.
    """
    tie_weights: Callable[[], None] | None = getattr(module, "tie_weights", None)
    if tie_weights is not None:  # transformers'; building without initialisation leaves it out
        tie_weights()
    slots = _slots(module, dtype)
    prefix = getattr(module, "base_model_prefix", "")
    ignored = [*HARMLESS, *(getattr(module, "_keys_to_ignore_on_load_unexpected", None) or ())]
    filled: dict[str, Tensor] = {}
    for name, weight in checkpoint.weights():
        target = _place(name, slots, prefix)
        if target is not None:
            check_shape(checkpoint, name, slots[target].shape, weight)
            filled[target] = _fill(module, target, weight.dense(slots[target].dtype, device))
        elif not any(re.search(pattern, name) for pattern in ignored):
            raise CheckpointError("tensor_unexpected", path=checkpoint.path, name=name)
    for target, slot in slots.items():
        _tie(module, target, slot, filled, checkpoint)
    module.to(device)


def check_shape(
    checkpoint: Checkpoint, name: str, expected: tuple[int, ...], weight: Weight
) -> None:
    """Raises CheckpointError where the record has not the shape the model expects."""
    if weight.shape != expected:
        raise CheckpointError(
            "tensor_shape_mismatch",
            path=checkpoint.path,
            name=name,
            expected=list(expected),
            found=list(weight.shape),
        )


def _slots(module: nn.Module, dtype: torch.dtype) -> dict[str, _Slot]:
    tensors: dict[str, Tensor] = module.state_dict(keep_vars=True)
    names: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        names.setdefault(id(tensor), []).append(name)
    return {
        name: _Slot(
            tuple(tensor.shape),
            dtype if isinstance(tensor, nn.Parameter) else tensor.dtype,
            tuple(names[id(tensor)]),
        )
        for name, tensor in tensors.items()
    }


def _place(name: str, slots: Container[str], prefix: str) -> str | None:
    """The module's name for the checkpoint's `name`: itself, with the base model's prefix or
    without it."""
    candidates = (name, f"{prefix}.{name}", name.removeprefix(f"{prefix}."))
    return next((candidate for candidate in candidates if candidate in slots), None)


def _fill(module: nn.Module, target: str, tensor: Tensor) -> Tensor:
    """Puts `tensor` at `target`, as a parameter if there was one; returns what lies there now."""
    parent_name, _, leaf = target.rpartition(".")
    parent = module.get_submodule(parent_name)
    if leaf in parent._parameters and not isinstance(tensor, nn.Parameter):
        tensor = nn.Parameter(tensor, requires_grad=False)
    setattr(parent, leaf, tensor)
    return tensor


def _tie(
    module: nn.Module,
    target: str,
    slot: _Slot,
    filled: Mapping[str, Tensor],
    checkpoint: Checkpoint,
) -> None:
    """Shares the tensor of a tied name with `target`, unless it was given one of its own."""
    source = next((name for name in slot.tied if name in filled), None)
    if source is None:
        raise CheckpointError("tensor_missing", path=checkpoint.path, name=target)
    given = filled.get(target)
    if given is None or (source != target and torch.equal(given, filled[source])):
        _fill(module, target, filled[source])
