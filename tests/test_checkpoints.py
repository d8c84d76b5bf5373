"""Folders that transformers saves come back tensor for tensor; everything else is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.checkpoints.weights import Dense
from aira_cli.engine.local.models.generic import load_transformers_model
from aira_cli.environment import LANGUAGES
from aira_cli.errors import CheckpointError
from aira_cli.i18n import translator

CPU = torch.device("cpu")
INDEX = "model.safetensors.index.json"


def llama(**changes: Any) -> LlamaForCausalLM:
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96}
    return LlamaForCausalLM(LlamaConfig(**(sizes | changes)))


def bloom() -> BloomForCausalLM:
    return BloomForCausalLM(BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=96))


def gpt2() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=96))


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": llama,
    "llama-tied": lambda: llama(tie_word_embeddings=True),
    "bloom": bloom,
    "gpt2": gpt2,
}


def randomized(make: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    """A model none of whose tensors has the value it is initialised with."""
    torch.manual_seed(11)
    model = make().eval()
    for parameter in model.parameters():
        parameter.data.normal_()
    return model


def refill(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    return load_transformers_model(open_checkpoint(folder), CPU, dtype)


@torch.no_grad()
def assert_same(found: PreTrainedModel, expected: PreTrainedModel) -> None:
    ids = torch.arange(40)[None]
    assert torch.equal(found(ids).logits, expected(ids).logits)


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_folder_comes_back(tmp_path: Path, name: str) -> None:
    model = randomized(MODELS[name])
    model.save_pretrained(tmp_path)
    assert_same(refill(tmp_path), model)


@pytest.mark.parametrize("name", MODELS)
def test_shards_come_back(tmp_path: Path, name: str) -> None:
    model = randomized(MODELS[name])
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    shards = list(tmp_path.glob("*.safetensors"))
    assert len(shards) > 2
    assert_same(refill(tmp_path), model)
    assert open_checkpoint(tmp_path).nbytes == sum(file.stat().st_size for file in shards)


@pytest.mark.parametrize("name", ["bloom", "gpt2", "llama-tied"])
def test_a_base_model_s_folder_fits_the_causal_model(tmp_path: Path, name: str) -> None:
    model = randomized(MODELS[name])
    model.base_model.save_pretrained(tmp_path)
    assert not any(key.startswith("transformer.") for key in saved(tmp_path))
    assert_same(refill(tmp_path), model)


def test_configuration_and_generation_are_the_folder_s(tmp_path: Path) -> None:
    model = llama()
    model.generation_config.repetition_penalty = 1.25
    model.save_pretrained(tmp_path)
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.config == json.loads((tmp_path / "config.json").read_text())
    assert checkpoint.generation["repetition_penalty"] == 1.25
    assert checkpoint.tokenizer_fields is None
    (tmp_path / "generation_config.json").unlink()
    assert open_checkpoint(tmp_path).generation == {}


def test_parameters_are_cast_and_rotary_tables_are_not(tmp_path: Path) -> None:
    model = randomized(llama)
    model.save_pretrained(tmp_path)
    found = refill(tmp_path, torch.bfloat16)
    for name, parameter in found.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name).bfloat16()), name
    assert torch.equal(found.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq)


def test_tied_weights_are_one_tensor_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    model = randomized(MODELS["llama-tied"])
    model.save_pretrained(tmp_path)
    found = refill(tmp_path)
    assert found.lm_head.weight is found.model.embed_tokens.weight

    embeddings = model.model.embed_tokens.weight.data
    change(tmp_path, {"lm_head.weight": embeddings.clone()})
    found = refill(tmp_path)
    assert found.lm_head.weight is found.model.embed_tokens.weight

    change(tmp_path, {"lm_head.weight": embeddings + 1})
    found = refill(tmp_path)
    assert torch.equal(found.lm_head.weight, embeddings + 1)
    assert torch.equal(found.model.embed_tokens.weight, embeddings)

    change(tmp_path, {"lm_head.weight": embeddings, "model.embed_tokens.weight": None})
    found = refill(tmp_path)
    assert torch.equal(found.model.embed_tokens.weight, embeddings)


def test_tables_that_old_releases_saved_are_ignored(tmp_path: Path) -> None:
    model = randomized(gpt2)
    model.save_pretrained(tmp_path)
    mask = torch.ones(1, 1, 8, 8).bool()
    change(
        tmp_path, {"h.0.attn.bias": mask, "transformer.h.1.attn.masked_bias": torch.tensor(-1e4)}
    )
    assert_same(refill(tmp_path), model)


def test_a_dense_tensor_of_the_wanted_type_is_not_copied(tmp_path: Path) -> None:
    randomized(llama).save_pretrained(tmp_path)
    for name, weight in open_checkpoint(tmp_path).weights():
        assert isinstance(weight, Dense), name
        assert weight.dense(torch.float32).data_ptr() == weight.tensor.data_ptr()


def saved(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def change(folder: Path, tensors: dict[str, torch.Tensor | None]) -> None:
    """Replaces tensors of a saved folder; None leaves one out."""
    both = {name: tensor.clone() for name, tensor in saved(folder).items()} | tensors
    kept = {name: tensor for name, tensor in both.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


NORM = "model.layers.1.input_layernorm.weight"


@pytest.mark.parametrize(
    ("tensors", "key", "name"),
    [
        ({NORM: None}, "tensor_missing", NORM),
        ({"lm_head.weight": None}, "tensor_missing", "lm_head.weight"),
        ({NORM: torch.zeros(33)}, "tensor_shape_mismatch", NORM),
        ({NORM: torch.zeros(1, 32)}, "tensor_shape_mismatch", NORM),
        (
            {"model.layers.2.mlp.up_proj.weight": torch.zeros(1)},
            "tensor_unexpected",
            "model.layers.2.mlp.up_proj.weight",
        ),
    ],
)
def test_tensors_that_do_not_fit_the_configuration_are_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor | None], key: str, name: str
) -> None:
    model = llama()
    model.save_pretrained(tmp_path)
    change(tmp_path, tensors)
    with pytest.raises(CheckpointError) as caught:
        refill(tmp_path)
    assert (caught.value.key, caught.value.fields["name"]) == (key, name)
    if key == "tensor_shape_mismatch":
        assert caught.value.fields["expected"] == [32]


@pytest.mark.parametrize("heads", ["four", 5])
def test_a_field_of_a_wrong_type_or_value_is_refused(tmp_path: Path, heads: str | int) -> None:
    llama().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_attention_heads": heads}))
    with pytest.raises(CheckpointError) as caught:
        refill(tmp_path)
    assert caught.value.key == "config_invalid"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    randomized(llama).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharded")
    randomized(llama).save_pretrained(folder, max_shard_size="20KB")
    return folder


def refusal(folder: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(folder)
    error = caught.value
    for language in LANGUAGES:
        sentence = translator(language)(f"error.{error.key}", **error.fields)
        assert str(error.fields["path"]) in sentence
    return error


def test_places_without_weights(tmp_path: Path, whole: Path) -> None:
    assert refusal(tmp_path).key == "no_weights"
    assert refusal(tmp_path / "nowhere").key == "checkpoint_not_found"
    assert refusal(whole / "model.safetensors").key == "safetensors_file"
    assert refusal(whole / "config.json").key == "gguf_not"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "last.ckpt", "weights.PTH"])
def test_pickled_weights_are_named_and_never_opened(tmp_path: Path, name: str) -> None:
    trap = tmp_path / "opened"
    (tmp_path / name).write_bytes(b"cposix\nsystem\n(S'touch " + str(trap).encode() + b"'\ntR.")
    for path in (tmp_path, tmp_path / name):
        error = refusal(path)
        assert (error.key, error.fields["files"]) == ("pickled_weights", name)
    assert not trap.exists()


def test_several_files_without_saying_which(tmp_path: Path, whole: Path, sharded: Path) -> None:
    shutil.copytree(sharded, tmp_path / "shards")
    (tmp_path / "shards" / INDEX).unlink()
    assert refusal(tmp_path / "shards").key == "safetensors_several"
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    error = refusal(tmp_path)
    assert (error.key, error.fields["files"]) == ("gguf_several", "a.gguf, b.gguf")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'{"a": 1,\n\n"b" 2}', 3),
        (b"[1]", 1),
        (b"", 1),
        (b'{"a": "\xff"}', 1),
        (b"[" * 100_000, 1),
        (b'{"a": ' + b"9" * 5000 + b"}", 1),
    ],
    ids=["syntax", "list", "empty", "latin", "deep", "digits"],
)
def test_a_configuration_that_is_no_json_object(
    tmp_path: Path, whole: Path, text: bytes, line: int
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "model"))
    for name in ("generation_config.json", "config.json"):
        (folder / name).write_bytes(text)
        error = refusal(folder)
        assert (error.key, error.fields["line"]) == ("json_invalid", line)
        assert error.fields["path"] == folder / name
    (folder / "config.json").unlink()
    assert refusal(folder).key == "config_missing"


@pytest.mark.parametrize(
    "shard", ["../whole/model.safetensors", "/etc/passwd", "..", "a\\b", "C:x"]
)
def test_an_index_names_files_of_its_own_folder_only(
    tmp_path: Path, sharded: Path, shard: str
) -> None:
    folder = Path(shutil.copytree(sharded, tmp_path / "model"))
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"][NORM] = shard
    (folder / INDEX).write_text(json.dumps(index))
    error = refusal(folder)
    assert (error.key, error.fields["shard"]) == ("shard_name_unsafe", shard)


def test_an_index_that_does_not_fit_its_shards(tmp_path: Path, sharded: Path) -> None:
    folder = Path(shutil.copytree(sharded, tmp_path / "model"))
    index = json.loads((folder / INDEX).read_text())
    shard = index["weight_map"][NORM]
    (folder / INDEX).write_text(json.dumps({"weight_map": {"new.weight": shard}}))
    error = refusal(folder)
    assert (error.key, error.fields["name"]) == ("tensor_missing", "new.weight")
    for wrong in ({}, {"weight_map": []}, {"weight_map": {"a": 1}}, {"weight_map": {"a": ["b"]}}):
        (folder / INDEX).write_text(json.dumps(wrong))
        assert refusal(folder).key == "index_invalid"
    (folder / INDEX).write_text(json.dumps(index))
    (folder / shard).unlink()
    error = refusal(folder)
    assert (error.key, error.fields["shard"]) == ("shard_missing", shard)


BRIEF = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@BRIEF
@given(data=st.data())
def test_any_prefix_of_a_safetensors_file_is_refused(
    tmp_path: Path, whole: Path, data: st.DataObject
) -> None:
    content = (whole / "model.safetensors").read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 16))
    shutil.copy(whole / "config.json", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content[:cut])
    error = refusal(tmp_path)
    assert error.key == "safetensors_damaged"
    assert error.fields["path"] == tmp_path / "model.safetensors"


@BRIEF
@given(data=st.data())
def test_damage_in_a_safetensors_header_is_survived_or_refused(
    tmp_path: Path, whole: Path, data: st.DataObject
) -> None:
    content = bytearray((whole / "model.safetensors").read_bytes())
    for at in data.draw(st.lists(st.integers(0, 2000), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    shutil.copy(whole / "config.json", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    try:
        for _, weight in open_checkpoint(tmp_path).weights():
            weight.dense(torch.bfloat16)
    except CheckpointError as error:
        assert error.key == "safetensors_damaged"
