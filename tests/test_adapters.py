"""LoRA adapters merged at load, against PEFT's own merged models; their prepared copies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from torch import Tensor

from aira_cli.checkpoints.forms import Form
from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.checkpoints.weights import Dense, Int4, Int8, Weight
from aira_cli.engine.local.copies import kept_copies
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.load import OwnDecoder, load_model, own_architecture
from aira_cli.engine.local.models.generic import load_transformers_model
from tests.conftest import FIXTURES
from tests.test_gguf import random_llama, write_llama
from tests.tiny_adapters import (
    ALL,
    BLOOM,
    GPT2,
    LLAMA,
    UNTIED,
    read_model,
    save_adapter,
    save_base,
    set_key,
    tensors_of,
    write_tensors,
)

CPU = torch.device("cpu")
FLOAT32 = Precision(torch.float32, "dense")
STORED = Precision(torch.float32, "stored")
IDS = torch.randint(0, 64, (1, 24), generator=torch.Generator().manual_seed(2))

NEOX = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "vocab_size": 70}  # fmt: skip

PATTERNS = {"rank_pattern": {"o_proj": 6, r"model\.layers\.1\.mlp\.up_proj": 2},
            "alpha_pattern": {"o_proj": 5, "layers.0.self_attn.q_proj": 40}}  # fmt: skip
ENDS = ["q_proj", "lm_head", "embed_tokens"]

# model type and configuration, then the adapter's
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "llama": ("llama", LLAMA, {"lora_alpha": 16}),
    "llama-some": ("llama", LLAMA, {"targets": ["q_proj", "v_proj"]}),
    "llama-rslora": ("llama", LLAMA, {"use_rslora": True, "lora_alpha": 3}),
    "llama-patterns": ("llama", LLAMA, PATTERNS),
    "llama-patterns-rslora": ("llama", LLAMA, PATTERNS | {"use_rslora": True}),
    "llama-ends": ("llama", LLAMA | UNTIED, {"targets": ENDS}),
    "llama-tied": ("llama", LLAMA | {"tie_word_embeddings": True}, {}),
    "bloom": ("bloom", BLOOM, {"lora_alpha": 16}),
    "bloom-ends": ("bloom", BLOOM | UNTIED, {"targets": ["lm_head", "word_embeddings"]}),
    "gpt2": ("gpt2", GPT2, {"fan_in_fan_out": True}),
    "gpt2-flagless": ("gpt2", GPT2, {"fan_in_fan_out": False}),  # PEFT corrects it, and so do we
    "gpt2-head": ("gpt2", GPT2 | UNTIED, {"targets": ["c_proj", "lm_head", "wte"]}),
    # no decoder of ours: transformers'
    "neox": ("gpt_neox", NEOX, {}),
    "gpt2-generic": ("gpt2", GPT2 | {"scale_attn_by_inverse_layer_idx": True}, {}),
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "base", tmp_path / "adapter"


def decode(
    base: Path, adapter: Path | None, precision: Precision = FLOAT32, kept: Path | None = None
) -> Tensor:
    checkpoint = open_checkpoint(base, adapter)
    model = load_model(checkpoint, CPU, precision, prepared=kept)
    assert isinstance(model, OwnDecoder) == (own_architecture(checkpoint.config) is not None)
    with torch.inference_mode():
        return model.all_logits(IDS, model.new_cache())


@torch.inference_mode()
def logits(model: Any) -> Tensor:
    found: Tensor = model(IDS).logits[0]
    return found


def distance(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest logit."""
    return float((found - expected).abs().max() / expected.abs().max())


# equal to PEFT


@pytest.mark.usefixtures("computing")
@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_peft_s_merged_model(case: str, folders: tuple[Path, Path]) -> None:
    model_type, fields, adapter = CASES[case]
    base = save_base(folders[0], model_type, fields)
    plain = logits(base)
    expected = logits(save_adapter(folders[1], base, **adapter))
    assert distance(plain, expected) > 0.1
    assert distance(decode(*folders), expected) <= 1e-4
    assert distance(decode(folders[0], None), plain) <= 1e-4


def test_names_without_the_base_model_s_prefix(folders: tuple[Path, Path]) -> None:
    model = save_base(folders[0], "gpt2", GPT2)
    model.transformer.save_pretrained(folders[0])
    assert "h.0.attn.c_attn.weight" in open_checkpoint(folders[0]).forms()
    expected = logits(save_adapter(folders[1], model))
    assert distance(decode(*folders), expected) <= 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_are_kept_as_float16(folders: tuple[Path, Path], dtype: torch.dtype) -> None:
    save_base(folders[0], "llama", LLAMA).to(dtype).save_pretrained(folders[0])
    expected = logits(save_adapter(folders[1], read_model(folders[0])))
    found = distance(decode(*folders, STORED), expected)
    assert found <= 5e-3
    rounded = read_model(folders[0])
    merged = save_adapter(folders[1], rounded).to(torch.bfloat16).float()
    assert found < distance(logits(merged), expected) / 3


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q8_0, Kind.F16, Kind.F32])
def test_gguf_weights_are_near_those_that_gguf_itself_rounds(
    folders: tuple[Path, Path], kind: Kind
) -> None:
    """Packed weights become what the gguf package makes of the merged ones in Q8_0."""
    folders[0].mkdir()
    path = write_llama(folders[0] / "m.gguf", random_llama(), kind)
    merged = load_transformers_model(open_checkpoint(path), CPU, torch.float32)
    save_adapter(folders[1], merged)
    found = dict(open_checkpoint(path, folders[1]).weights())
    for name, parameter in merged.named_parameters():
        if "proj" in name and kind not in (Kind.F16, Kind.F32):
            blocks = gguf.quants.quantize(parameter.detach().numpy(), Kind.Q8_0)
            rounded = torch.from_numpy(gguf.quants.dequantize(blocks, Kind.Q8_0))
            lost = (found[name].dense(torch.float32) - parameter).norm()
            assert lost <= 1.02 * (rounded - parameter).norm()
            parameter.data = rounded
    limit = {Kind.F32: 1e-4, Kind.F16: 5e-3}.get(kind, 3e-2)
    assert distance(decode(path, folders[1]), logits(merged)) <= limit


@pytest.mark.usefixtures("computing")
@pytest.mark.parametrize("targets", [ALL, ["q_proj", "v_proj", "down_proj"]], ids=["all", "some"])
def test_awq_weights_are_near_in_8_bits(folders: tuple[Path, Path], targets: Any) -> None:
    shutil.copytree(FIXTURES / "llama-tiny-awq", folders[0])
    plain = load_transformers_model(open_checkpoint(folders[0]), CPU, torch.float32)
    merged = save_adapter(folders[1], plain, targets=targets, lora_alpha=1)
    expected = logits(merged)
    assert distance(decode(folders[0], None), expected) > 0.1
    found = distance(decode(*folders, STORED), expected)
    assert found <= 5e-2


def kinds(weights: dict[str, Weight]) -> dict[str, Form]:
    forms = {}
    for name, weight in weights.items():
        if isinstance(weight, Dense):
            forms[name] = Form(weight.shape, 8 * weight.tensor.element_size())
        else:
            bits = 4 if isinstance(weight, Int4) else 8
            forms[name] = Form(weight.shape, bits, weight.group_size)
    return forms


def test_what_is_not_adapted_stays_as_stored(folders: tuple[Path, Path]) -> None:
    shutil.copytree(FIXTURES / "llama-tiny-awq", folders[0])
    model = load_transformers_model(open_checkpoint(folders[0]), CPU, torch.float32)
    merged = save_adapter(folders[1], model, targets=["q_proj", "down_proj"]).state_dict()
    stored = dict(open_checkpoint(folders[0]).weights())
    checkpoint = open_checkpoint(*folders)
    found = dict(checkpoint.weights())
    assert checkpoint.forms() == kinds(found) and list(found) == list(stored)
    touched = {name for name in found if isinstance(found[name], Int8)}
    assert touched == {n for n in stored if "q_proj" in n or "down_proj" in n}
    for name, weight in found.items():
        if name in touched:
            assert weight.group_size == stored[name].group_size == 128  # type: ignore[union-attr]
            step = merged[name].view(len(merged[name]), -1, 128).abs().amax(2) / 127
            difference = (weight.dense(torch.float32) - merged[name]).view(*step.shape, 128).abs()
            assert (difference <= 0.51 * step[..., None]).all()
        else:
            assert torch.equal(weight.dense(torch.float32), stored[name].dense(torch.float32))
            assert isinstance(weight, type(stored[name]))


def test_8_bits_lose_less_than_4_and_than_the_adapter_adds(folders: tuple[Path, Path]) -> None:
    """Why packed weights are not rounded to what they had."""
    from aira_cli.engine.local.rounding import round_to_int4

    folders[0].mkdir()
    path = write_llama(folders[0] / "m.gguf", random_llama(), Kind.Q4_1)
    base = load_transformers_model(open_checkpoint(path), CPU, torch.float32)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    after = save_adapter(folders[1], base, r=2, lora_alpha=0.4).state_dict()
    for name, weight in open_checkpoint(path, folders[1]).weights():
        if isinstance(weight, Int8):
            added = (after[name] - before[name]).norm()
            lost = (weight.dense(torch.float32) - after[name]).norm()
            in_4_bits = (round_to_int4(after[name]).dense(torch.float32) - after[name]).norm()
            assert lost < in_4_bits / 5
            assert lost < added / 4


# prepared copies


@pytest.fixture
def native(kernels_folder: Path) -> Any:
    from aira_cli.engine.local.native import kernels

    kernels.activate(kernels_folder)
    yield
    kernels.deactivate()


@pytest.mark.usefixtures("native")
def test_a_prepared_copy_belongs_to_its_adapter(folders: tuple[Path, Path], tmp_path: Path) -> None:
    base, adapter = folders
    other, kept = tmp_path / "other", tmp_path / "kept"
    shutil.copytree(FIXTURES / "llama-tiny-awq", base)
    for folder, seed in ((adapter, 1), (other, 2)):
        model = load_transformers_model(open_checkpoint(base), CPU, torch.float32)
        save_adapter(folder, model, seed=seed)
    found = {}
    for number, which in enumerate((adapter, other, None), start=1):
        found[which] = decode(base, which, STORED, kept)
        before = {copy.path: copy.path.read_bytes() for copy in kept_copies(kept)}
        assert len(before) == number
        assert torch.equal(decode(base, which, STORED, kept), found[which])
        assert {copy.path: copy.path.read_bytes() for copy in kept_copies(kept)} == before
        assert torch.equal(decode(base, which, STORED), found[which])
    assert not torch.equal(found[adapter], found[other])

    write_tensors(adapter, {name: 2 * tensor for name, tensor in tensors_of(adapter).items()})
    assert sum(copy.stale for copy in kept_copies(kept)) == 1
    changed = decode(base, adapter, STORED, kept)
    assert distance(changed, found[adapter]) > 0.01
    assert torch.equal(changed, decode(base, adapter, STORED))
    assert [copy.stale for copy in kept_copies(kept)] == [False] * 3  # the old one is gone

    set_key(adapter, lora_alpha=1)
    assert not torch.equal(decode(base, adapter, STORED, kept), changed)
