"""Our own decoders against transformers, on tiny random configurations and real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.int8 import Int8Linear, Int8Weight, round_to_int8
from aira_cli.engine.local.load import OwnDecoder, load_model, own_architecture
from aira_cli.engine.local.models.generic import GenericModel
from aira_cli.errors import CheckpointError, UsageError

CPU = torch.device("cpu")
FLOAT32 = Precision(torch.float32)

LLAMA = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3,
         "num_attention_heads": 6, "vocab_size": 101}  # fmt: skip
BLOOM = {"hidden_size": 48, "n_layer": 3, "n_head": 4, "vocab_size": 101}
GPT2 = {"n_embd": 48, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": 101}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", LLAMA | {"tie_word_embeddings": False}),
    "llama-grouped": ("llama", LLAMA | {"num_key_value_heads": 2}),
    "llama-tied": ("llama", LLAMA | {"tie_word_embeddings": True}),
    "llama-theta": ("llama", LLAMA | {"rope_theta": 100000.0, "rms_norm_eps": 1e-3}),
    "llama-head": ("llama", LLAMA | {"head_dim": 16, "num_key_value_heads": 3}),
    "bloom": ("bloom", BLOOM),
    "bloom-untied": ("bloom", BLOOM | {"tie_word_embeddings": False}),
    "bloom-6-heads": ("bloom", BLOOM | {"n_head": 6}),
    "bloom-12-heads": ("bloom", BLOOM | {"n_head": 12}),
    "gpt2": ("gpt2", GPT2),
    "gpt2-untied": ("gpt2", GPT2 | {"tie_word_embeddings": False}),
}


@pytest.fixture(params=CASES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[OwnDecoder, Any]:
    """Our decoder and transformers' model with the same random weights."""
    model_type, fields = CASES[request.param]
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(model_type, **fields)
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in theirs.parameters():
        parameter.data.normal_(std=0.3)
    theirs.save_pretrained(tmp_path)
    ours = load_model(open_checkpoint(tmp_path), CPU, FLOAT32)
    assert isinstance(ours, OwnDecoder)
    return ours, theirs


def assert_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-4 of the largest logit."""
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


IDS = torch.randint(0, 101, (1, 40), generator=torch.Generator().manual_seed(2))


@torch.inference_mode()
def test_logits_after_prefills_of_several_lengths(pair: tuple[OwnDecoder, Any]) -> None:
    ours, theirs = pair
    expected = theirs(IDS).logits[0]
    for length in (1, 2, 7, 40):
        logits = ours.prefill(IDS[:, :length], ours.new_cache())
        assert_near(logits[0], expected[length - 1])


@torch.inference_mode()
def test_stepping_and_prefilling_in_parts_equal_prefilling(pair: tuple[OwnDecoder, Any]) -> None:
    ours, theirs = pair
    expected = theirs(IDS).logits[0]
    cache = ours.new_cache()
    ours.prefill(IDS[:, :5], cache)
    for at in range(5, 20):
        assert_near(ours.step(IDS[:, at : at + 1], cache)[0], expected[at])
    assert_near(ours.prefill(IDS[:, 20:], cache)[0], expected[-1])
    assert cache.rewind(11)
    assert_near(ours.prefill(IDS[:, 11:30], cache)[0], expected[29])


@torch.inference_mode()
def test_rows_of_a_widened_cache_go_their_own_ways(pair: tuple[OwnDecoder, Any]) -> None:
    ours, theirs = pair
    cache = ours.new_cache()
    ours.prefill(IDS[:, :8], cache)
    cache.widen(3)
    ours.step(torch.tensor([[3], [5], [7]]), cache)
    cache.keep([2, 0])
    logits = ours.step(torch.tensor([[9], [11]]), cache)
    for row, tail in enumerate(([7, 9], [3, 11])):
        whole = torch.cat((IDS[:, :8], torch.tensor([tail])), dim=1)
        assert_near(logits[row], theirs(whole).logits[0, -1])


@torch.inference_mode()
def test_the_cache_grows_over_its_blocks(tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model("llama", **LLAMA)
    torch.manual_seed(1)
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = load_model(open_checkpoint(tmp_path), CPU, FLOAT32)
    ids = torch.randint(0, 101, (1, 300))
    cache = ours.new_cache()
    ours.prefill(ids[:, :120], cache)
    for at in range(120, 140):
        ours.step(ids[:, at : at + 1], cache)
    assert_near(ours.prefill(ids[:, 140:], cache)[0], theirs(ids).logits[0, -1])


@pytest.mark.parametrize(
    "change",
    [
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        {"attention_bias": True},
        {"hidden_act": "gelu"},
        {"a_key_of_tomorrow": 1},
    ],
)
def test_what_a_decoder_does_not_do_goes_to_the_generic_one(change: dict[str, Any]) -> None:
    plain = {"model_type": "llama", **LLAMA, "rope_scaling": None, "rope_theta": 10000.0}
    assert own_architecture(plain) is not None
    assert own_architecture({**plain, **change}) is None
    assert own_architecture({**plain, "model_type": "mistral"}) is None
    del plain["hidden_size"]
    assert own_architecture(plain) is None


def test_a_generic_model_still_answers(tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model("llama", **LLAMA, attention_bias=True)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    assert isinstance(load_model(open_checkpoint(tmp_path), CPU, FLOAT32), GenericModel)


@pytest.mark.parametrize("name", ["bloom", "gpt2", "llama-tied"])
def test_a_base_models_names_fit(tmp_path: Path, name: str) -> None:
    model_type, fields = CASES[name]
    torch.manual_seed(4)
    config = transformers.AutoConfig.for_model(model_type, **fields)
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    theirs.base_model.save_pretrained(tmp_path)
    ours = load_model(open_checkpoint(tmp_path), CPU, FLOAT32)
    with torch.inference_mode():
        assert_near(ours.prefill(IDS, ours.new_cache())[0], theirs(IDS).logits[0, -1])


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    config = transformers.AutoConfig.for_model("llama", **LLAMA)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    whole = load_file(file)
    norm = "model.layers.1.input_layernorm.weight"
    wrong: list[tuple[str, dict[str, torch.Tensor]]] = [
        ("tensor_missing", {k: v for k, v in whole.items() if k != norm}),
        ("tensor_missing", {k: v for k, v in whole.items() if k != "lm_head.weight"}),
        ("tensor_shape_mismatch", whole | {norm: torch.zeros(7)}),
        ("tensor_unexpected", whole | {"model.layers.9.mlp.up_proj.weight": torch.zeros(2)}),
    ]
    for key, tensors in wrong:
        save_file(tensors, file, metadata={"format": "pt"})
        with pytest.raises(CheckpointError) as raised:
            load_model(open_checkpoint(tmp_path), CPU, FLOAT32)
        assert raised.value.key == key


# 8-bit weights

INT8 = Precision(torch.float32, int8=True)


def test_rounding_is_to_the_nearest_step_of_a_scale_that_the_kernel_has() -> None:
    weight = torch.randn(70, 64, generator=torch.Generator().manual_seed(1)) * 0.3
    weight[3] = 0
    q, scale = round_to_int8(weight)
    assert scale.dtype == torch.bfloat16 and q.abs().max() <= 127
    error = (weight.double() - q.double() * scale.double()[:, None]).abs()
    assert (error <= scale.double()[:, None] * 0.5000001).all()
    assert q[weight.abs().amax(1) > 0].abs().amax(1).min() >= 126  # no bits are left unused


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_the_kernel_multiplies_by_exactly_the_rounded_weight(rows: int) -> None:
    """Against a float64 product of the same 8-bit numbers; inputs that bfloat16 holds."""
    generator = torch.Generator().manual_seed(rows)
    weight = Int8Weight(torch.randn(96, 128, generator=generator))
    x = torch.randn(2, rows, 128, generator=generator).bfloat16().float()
    bias = torch.randn(96, generator=generator)
    found = Int8Linear(weight, bias)(x)
    exact = x.double() @ (weight.q.double() * weight.scale.double()[:, None]).T + bias.double()
    assert (found - exact).abs().max() <= exact.abs().max() * 2**-8  # the output's bfloat16


@torch.inference_mode()
def test_int8_is_near_the_full_precision_and_rows_do_not_touch(
    pair: tuple[OwnDecoder, Any], tmp_path: Path
) -> None:
    _, theirs = pair
    ours = load_model(open_checkpoint(tmp_path), CPU, INT8)
    expected = theirs(IDS).logits[0, -1]
    cache = ours.new_cache()
    assert (ours.prefill(IDS, cache)[0] - expected).norm() <= 0.08 * expected.norm()
    cache.widen(3)
    tokens = torch.tensor([[3], [5], [7]])
    together = ours.step(tokens, cache)
    for row in range(3):
        alone = ours.new_cache()
        ours.prefill(IDS, alone)
        torch.testing.assert_close(
            ours.step(tokens[row : row + 1], alone)[0], together[row], rtol=0.02, atol=0.02
        )


def test_int8_keeps_one_copy_of_tied_embeddings(tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model("bloom", **BLOOM)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    ours = load_model(open_checkpoint(tmp_path), CPU, INT8)
    model = ours._model  # type: ignore[attr-defined]
    assert model.lm_head.int8 is model.transformer.word_embeddings.int8
    matrices = [p for p in model.parameters() if p.ndim == 2]
    assert matrices == []  # no full-precision copy is left


def test_int8_of_an_architecture_without_a_decoder_is_refused(tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model("llama", **LLAMA, attention_bias=True)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(UsageError) as raised:
        load_model(open_checkpoint(tmp_path), CPU, INT8)
    assert raised.value.key == "int8_unsupported"
