"""AWQ GEMM against AutoAWQ's own numbers, and against its bit layout spelled out one by one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from aira_cli.checkpoints.awq import int4_from_awq
from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.checkpoints.weights import Int4
from aira_cli.engine.local.models.generic import load_transformers_model
from aira_cli.errors import CheckpointError

FIXTURE = Path(__file__).parent / "fixtures" / "llama-tiny-awq"
EXPECTED = load_file(FIXTURE / "expected.safetensors")
COLUMN_OF_PLACE = (0, 2, 4, 6, 1, 3, 5, 7)
CPU = torch.device("cpu")


def filled_llama(folder: Path, dtype: torch.dtype) -> LlamaForCausalLM:
    model: LlamaForCausalLM = load_transformers_model(open_checkpoint(folder), CPU, dtype)
    return model


@torch.no_grad()
def logits(model: LlamaForCausalLM) -> Tensor:
    return model(EXPECTED["input_ids"][None]).logits[0]


def test_weights_in_float16_give_autoawq_s_logits() -> None:
    """AutoAWQ's dequantizer rounds to float16, so that is where the numbers are its own; processors
    add float32 numbers in different orders, which is all that may differ."""
    model = filled_llama(FIXTURE, torch.float16).float()
    torch.testing.assert_close(logits(model), EXPECTED["logits"], rtol=0, atol=1e-5)


def test_weights_in_float32_differ_by_that_rounding_only() -> None:
    found = logits(filled_llama(FIXTURE, torch.float32))
    torch.testing.assert_close(found, EXPECTED["logits"], rtol=0, atol=0.01)
    assert (found - EXPECTED["logits"]).abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_greedy_continuation_with_a_repetition_penalty(dtype: torch.dtype) -> None:
    model = filled_llama(FIXTURE, dtype).float()
    expected, ids = EXPECTED["greedy_penalty_1.2"], EXPECTED["input_ids"]
    found = model.generate(
        ids[None],
        attention_mask=torch.ones_like(ids)[None],
        do_sample=False,
        repetition_penalty=1.2,
        max_new_tokens=len(expected) - len(ids),
    )[0]
    assert found.tolist() == expected.tolist()


def packed_layer(inputs: int, outputs: int, group_size: int) -> dict[str, Tensor]:
    groups = inputs // group_size
    words = torch.Generator().manual_seed(7)
    return {
        "qweight": torch.randint(-(2**31), 2**31, (inputs, outputs // 8), generator=words).int(),
        "qzeros": torch.randint(-(2**31), 2**31, (groups, outputs // 8), generator=words).int(),
        "scales": torch.rand(groups, outputs, generator=words).half(),
    }


def value_at(packed: Tensor, row: int, column: int) -> int:
    """The 4 bits of `column` in a row of words, by the layout in AutoAWQ's words."""
    place = COLUMN_OF_PLACE.index(column % 8)
    return (int(packed[row, column // 8]) >> (4 * place)) & 15


@pytest.mark.parametrize("declared", [32, -1])
def test_every_weight_is_q_minus_z_times_s(declared: int) -> None:
    inputs, outputs = 64, 24
    group_size = inputs if declared == -1 else declared
    packed = packed_layer(inputs, outputs, group_size)
    record = int4_from_awq(FIXTURE, "layer", packed, declared)
    assert record.shape == (outputs, inputs)
    assert record.group_size == group_size
    dense = record.dense(torch.float32)
    for column in range(outputs):
        for row in range(inputs):
            group = row // group_size
            q, z = (
                value_at(packed["qweight"], row, column),
                value_at(packed["qzeros"], group, column),
            )
            scale = float(packed["scales"][group, column])
            assert int(record.q[column, row]) == q
            assert float(dense[column, row]) == (q - z) * scale  # float64: nothing was rounded


def test_the_folder_s_linear_layers_are_int4_and_the_rest_dense() -> None:
    weights = dict(open_checkpoint(FIXTURE).weights())
    layers = {name for name, weight in weights.items() if isinstance(weight, Int4)}
    assert len(layers) == 2 * 7
    assert all(name.endswith("_proj.weight") for name in layers)
    assert set(weights) == set(LlamaForCausalLM(LlamaConfig(**TINY)).state_dict())


TINY = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 16, "vocab_size": 32}
TINY |= {"num_attention_heads": 2}


def damaged_copy(tmp_path: Path, quantization: dict[str, Any], tensors: dict[str, Any]) -> Path:
    """The fixture with other declarations, and with tensors replaced or (None) left out."""
    folder = tmp_path / "model"
    shutil.copytree(FIXTURE, folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] |= quantization
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors") | tensors
    kept = {name: tensor for name, tensor in weights.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("quantization", "key"),
    [
        ({"version": "gemv"}, "awq_unsupported"),
        ({"version": "gemv_fast"}, "awq_unsupported"),
        ({"bits": 8}, "awq_unsupported"),
        ({"zero_point": False}, "awq_unsupported"),
        ({"group_size": 0}, "awq_unsupported"),
        ({"group_size": "128"}, "awq_unsupported"),
        ({"quant_method": "gptq"}, "quantization_unsupported"),
        ({"quant_method": "bitsandbytes"}, "quantization_unsupported"),
        ({"quant_method": "fp8"}, "quantization_unsupported"),
        ({"quant_method": None}, "quantization_unsupported"),
    ],
)
def test_other_quantizations_are_refused(
    tmp_path: Path, quantization: dict[str, Any], key: str
) -> None:
    folder = damaged_copy(tmp_path, quantization, {})
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(folder)
    assert caught.value.key == key
    (value,) = quantization.values()
    assert value in caught.value.fields.values()


LAYER = "model.layers.1.mlp.down_proj"


@pytest.mark.parametrize(
    ("quantization", "tensors", "key"),
    [
        ({"group_size": 96}, {}, "awq_shapes"),
        ({"group_size": 64}, {}, "awq_shapes"),
        ({"group_size": 120}, {}, "awq_shapes"),
        ({}, {f"{LAYER}.scales": torch.ones(4, 128).half()}, "awq_shapes"),
        ({}, {f"{LAYER}.scales": torch.ones(4, 256).int()}, "awq_shapes"),
        ({}, {f"{LAYER}.qzeros": torch.ones(2, 32).int()}, "awq_shapes"),
        ({}, {f"{LAYER}.qweight": torch.ones(512, 32).half()}, "awq_shapes"),
        ({}, {f"{LAYER}.qweight": torch.ones(512).int()}, "awq_shapes"),
        ({}, {f"{LAYER}.qzeros": None}, "tensor_missing"),
    ],
)
def test_tensors_that_do_not_fit_each_other_are_refused(
    tmp_path: Path, quantization: dict[str, Any], tensors: dict[str, Any], key: str
) -> None:
    checkpoint = open_checkpoint(damaged_copy(tmp_path, quantization, tensors))
    with pytest.raises(CheckpointError) as caught:
        list(checkpoint.weights())
    assert caught.value.key == key
    assert str(caught.value.fields["name"]).startswith("model.layers.")
