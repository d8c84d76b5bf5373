"""A checkpoint of random weights in a profile's exact architecture and number format.

What tensors there are is transformers' word: it builds the model without memory for weights.
Linear layers are written in AWQ GEMM where the architecture declares it, everything else in
float16, a tensor at a time. The same as a GGUF file is left to `shape_gguf`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
)

from aira_cli.bench.orders import WriteShape
from aira_cli.bench.random_weights import RandomWeights, awq_tensors
from aira_cli.checkpoints.quantization import WHOLE_INPUT, awq_group_size
from aira_cli.errors import CheckpointError
from aira_cli.printable import one_line

_AWQ_COLUMNS = 8  # a word's


@dataclass(frozen=True)
class Slot:
    """One tensor of a model: its number among them, its shape, and G if it is kept in 4 bits."""

    name: str
    number: int
    shape: tuple[int, ...]
    group: int | None


def write_shape(order: WriteShape) -> dict[str, Any]:
    """Writes the folder, and the GGUF file if one was asked for."""
    folder = Path(order.folder)
    folder.mkdir(parents=True, exist_ok=True)
    slots = model_slots(order.name, order.architecture)
    (folder / "config.json").write_text(json.dumps(order.architecture), encoding="utf-8")
    write_safetensors(folder / "model.safetensors", slots)
    if order.gguf is not None:
        from aira_cli.bench.shape_gguf import write_gguf

        write_gguf(Path(order.gguf), order.architecture, slots)
    return {}


def model_slots(name: str, architecture: Mapping[str, Any]) -> list[Slot]:
    """The tensors of the architecture, tied ones once.

    Raises CheckpointError for an architecture that transformers does not have, and for layers
    that AWQ cannot hold.
    """
    model = _empty_model(name, architecture)
    declared = awq_group_size(Path(name), dict(architecture))
    head = model.get_output_embeddings()
    linear = {
        f"{path}.weight"
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }
    slots = []
    for number, (slot, parameter) in enumerate(model.named_parameters()):
        shape = tuple(parameter.shape)
        quantized = declared is not None and slot in linear
        group = shape[-1] if declared == WHOLE_INPUT else declared
        if quantized and group and (shape[0] % _AWQ_COLUMNS or shape[1] % group):
            raise CheckpointError(
                "shape_not_awq", path=name, name=slot, found=list(shape), group_size=group
            )
        slots.append(Slot(slot, number, shape, group if quantized else None))
    return slots


def _empty_model(name: str, architecture: Mapping[str, Any]) -> Any:
    """transformers' model on the meta device; AWQ packs its layers, it does not change them."""
    fields = {k: v for k, v in architecture.items() if k != "quantization_config"}
    model_type = fields.pop("model_type", None)
    if model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise CheckpointError("architecture_unknown", path=name, name=one_line(str(model_type)))
    try:
        config = CONFIG_MAPPING[model_type].from_dict(fields)
        with torch.device("meta"):
            return MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError("config_invalid", path=name, reason=one_line(str(error))) from error


def write_safetensors(path: Path, slots: list[Slot]) -> None:
    """The slots' random weights; the format is safetensors' own (a JSON header, then bytes).

    Its library would want all tensors in memory at once.
    """
    weights = RandomWeights()
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, dtype, shape, nbytes in (row for slot in slots for row in _stored(slot)):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + nbytes]}
        end += nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for slot in slots:
            for piece in _content(slot, weights):
                file.write(piece.tobytes())


def _stored(slot: Slot) -> Iterator[tuple[str, str, list[int], int]]:
    """Name, type, shape and bytes of each tensor that holds the slot, as `_content` has them."""
    if slot.group is None:
        yield slot.name, "F16", list(slot.shape), 2 * prod(slot.shape)
        return
    layer = slot.name.removesuffix("weight")
    outputs, inputs = slot.shape
    groups, words = inputs // slot.group, outputs // _AWQ_COLUMNS
    yield f"{layer}qweight", "I32", [inputs, words], 4 * inputs * words
    yield f"{layer}qzeros", "I32", [groups, words], 4 * groups * words
    yield f"{layer}scales", "F16", [groups, outputs], 2 * groups * outputs


def _content(slot: Slot, weights: RandomWeights) -> Iterator[NDArray[Any]]:
    if slot.group is None:
        return weights.dense(slot.name, slot.number, slot.shape)
    tensors = awq_tensors(weights.quantized(slot.number, slot.shape, slot.group))
    return iter([tensors["qweight"], tensors["qzeros"], tensors["scales"]])
