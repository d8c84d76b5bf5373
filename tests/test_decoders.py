"""Our own decoders against transformers, on tiny random configurations and real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.graphs import Seen
from aira_cli.engine.local.load import OwnDecoder, load_model, own_architecture
from aira_cli.engine.local.models.generic import GenericModel
from aira_cli.engine.local.native import kernels
from aira_cli.errors import CheckpointError

CPU = torch.device("cpu")
FLOAT32 = Precision(torch.float32, "dense")

LLAMA = {"hidden_size": 96, "intermediate_size": 128, "num_hidden_layers": 3,
         "num_attention_heads": 6, "vocab_size": 101}  # fmt: skip
BLOOM = {"hidden_size": 64, "n_layer": 3, "n_head": 4, "vocab_size": 101}
GPT2 = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": 101}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", LLAMA | {"tie_word_embeddings": False}),
    "llama-grouped": ("llama", LLAMA | {"num_key_value_heads": 2}),
    "llama-tied": ("llama", LLAMA | {"tie_word_embeddings": True}),
    "llama-theta": ("llama", LLAMA | {"rope_theta": 100000.0, "rms_norm_eps": 1e-3}),
    "llama-head": ("llama", LLAMA | {"head_dim": 32, "num_key_value_heads": 3}),
    # sizes that are no multiples of a register: torch computes some or all of it
    "llama-odd-heads": ("llama", LLAMA | {"num_attention_heads": 12}),
    "llama-odd": ("llama", LLAMA | {"hidden_size": 60, "intermediate_size": 72}),
    "llama-64": ("llama", LLAMA | {"head_dim": 64, "num_key_value_heads": 2}),
    "llama-128": ("llama", LLAMA | {"head_dim": 128, "num_key_value_heads": 1}),
    "bloom": ("bloom", BLOOM),
    "bloom-untied": ("bloom", BLOOM | {"tie_word_embeddings": False}),
    "bloom-6-heads": ("bloom", BLOOM | {"hidden_size": 96, "n_head": 6}),
    "bloom-12-heads": ("bloom", BLOOM | {"hidden_size": 192, "n_head": 12}),
    "bloom-odd": ("bloom", BLOOM | {"hidden_size": 48, "n_head": 6}),
    "gpt2": ("gpt2", GPT2),
    "gpt2-untied": ("gpt2", GPT2 | {"tie_word_embeddings": False}),
}


pytestmark = pytest.mark.usefixtures("computing")


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


@torch.inference_mode()
def test_a_step_over_all_memory_under_a_mask_is_the_step(pair: tuple[OwnDecoder, Any]) -> None:
    """What a CUDA graph captures, run here without one."""
    ours, theirs = pair
    kernels.deactivate()
    ids = torch.cat((IDS[:, :8].expand(2, -1), torch.tensor([[3, 9, 4], [7, 11, 2]])), dim=1)
    cache = ours.new_cache()
    ours.prefill(IDS[:, :8], cache)
    cache.widen(2)
    for at in range(8, 11):
        inputs = ours._model.inputs(ids[:, at : at + 1], cache.length)
        cache.reserve(1)
        cache.seen = Seen.of(cache.room, CPU, torch.float32)
        cache.seen.move(cache.length)
        logits = ours._logits(cache, *inputs)
        cache.seen = None
        cache.advance(1)
        assert_near(logits, theirs(ids[:, : at + 1]).logits[:, -1])
