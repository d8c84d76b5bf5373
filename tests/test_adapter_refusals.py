"""Adapters that do not fit the model, are damaged, or are of a kind that is not supported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.errors import CheckpointError
from aira_cli.i18n import translator
from tests.tiny_adapters import (
    BLOOM,
    GPT2,
    LLAMA,
    UNTIED,
    save_adapter,
    save_base,
    set_key,
    tensors_of,
    write_tensors,
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "base", tmp_path / "adapter"


def drop(*parts: str) -> Callable[[Path], None]:
    """Without the tensors that have all of `parts` in their names."""

    def change(adapter: Path) -> None:
        tensors = tensors_of(adapter)
        keep = {n: t for n, t in tensors.items() if not all(part in n for part in parts)}
        write_tensors(adapter, keep)

    return change


def add(name: str, tensor: Tensor) -> Callable[[Path], None]:
    return lambda adapter: write_tensors(adapter, tensors_of(adapter) | {name: tensor})


def remove(name: str) -> Callable[[Path], None]:
    return lambda adapter: (adapter / name).unlink()


def cut(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-7])


def pickle(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")


def keys(**changes: Any) -> Callable[[Path], None]:
    return lambda adapter: set_key(adapter, **changes)


def other_base(adapter: Path, **changes: Any) -> None:
    shutil.rmtree(adapter)
    save_adapter(adapter, save_base(adapter.parent / "other", "llama", LLAMA | UNTIED | changes))


Q0 = "base_model.model.model.layers.0.self_attn.q_proj"
REFUSED: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "no folder": (shutil.rmtree, "adapter_file_missing", "adapter_config.json"),
    "no config": (remove("adapter_config.json"), "adapter_file_missing", "adapter_config.json"),
    "no weights": (
        remove("adapter_model.safetensors"), "adapter_file_missing", "adapter_model.safetensors"
    ),
    "pickled": (pickle, "adapter_pickled", "adapter_model.bin"),
    "cut": (cut, "safetensors_damaged", "adapter_model.safetensors"),
    "no JSON": (lambda a: (a / "adapter_config.json").write_text("{"), "json_invalid", "config"),
    "kind": (keys(peft_type="IA3"), "adapter_kind", "IA3"),
    "no kind": (keys(peft_type=None), "adapter_kind", "None"),
    "dora": (keys(use_dora=True), "adapter_key", "use_dora: True"),
    "bias": (keys(bias="all"), "adapter_key", "bias: all"),
    "modules_to_save": (keys(modules_to_save=["lm_head"]), "adapter_key", "modules_to_save"),
    "pissa": (keys(init_lora_weights="pissa"), "adapter_key", "init_lora_weights: pissa"),
    "new key": (keys(use_shiny=[1]), "adapter_key", "use_shiny: [1]"),
    "rank zero": (keys(r=0), "adapter_config_invalid", "r "),
    "rank word": (keys(r="4"), "adapter_config_invalid", "'4'"),
    "alpha": (keys(lora_alpha=None), "adapter_config_invalid", "lora_alpha"),
    "pattern rank": (keys(rank_pattern={"q_proj": -1}), "adapter_config_invalid", "-1"),
    "pattern kind": (keys(rank_pattern=[1]), "adapter_config_invalid", "rank_pattern"),
    "pattern": (keys(alpha_pattern={"(": 1}), "adapter_config_invalid", "alpha_pattern"),
    "rank": (keys(r=8), "adapter_rank", "(A)"),
    "pattern's rank": (keys(rank_pattern={"v_proj": 2}), "adapter_rank", "v_proj"),
    "A alone": (drop("layers.1.mlp.up_proj", "lora_B"), "adapter_half", "layers.1.mlp.up_proj"),
    "empty": (drop("lora_"), "adapter_empty", "adapter_model.safetensors"),
    "magnitude": (
        add(f"{Q0}.lora_magnitude_vector", torch.ones(64)), "adapter_tensor", "magnitude_vector"
    ),
    "whole weight": (
        add("base_model.model.lm_head.weight", torch.ones(70, 64)), "adapter_tensor", "lm_head"
    ),
    "integers": (
        add(f"{Q0}.lora_A.weight", torch.ones(4, 64, dtype=torch.int8)), "adapter_tensor", "q_proj"
    ),
    "more layers": (
        lambda a: other_base(a, num_hidden_layers=3), "adapter_target_missing", "model.layers.2."
    ),
    "wider": (lambda a: other_base(a, intermediate_size=128), "adapter_shape", "128"),
    "other heads": (lambda a: other_base(a, num_key_value_heads=4), "adapter_shape", "[32, 64]"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_name(case: str, folders: tuple[Path, Path]) -> None:
    change, key, said = REFUSED[case]
    save_adapter(folders[1], save_base(folders[0], "llama", LLAMA | UNTIED))
    open_checkpoint(*folders)
    change(folders[1])
    with pytest.raises(CheckpointError) as raised:
        open_checkpoint(*folders)
    assert raised.value.key == key
    for language in ("pt", "en"):
        sentence = translator(language)(f"error.{key}", **raised.value.fields)
        assert said in sentence and str(folders[1]) in sentence


@pytest.mark.parametrize(
    ("model_type", "fields", "target"),
    [("llama", LLAMA | {"tie_word_embeddings": True}, "embed_tokens"),
     ("bloom", BLOOM, "lm_head"), ("gpt2", GPT2, "wte")],
)  # fmt: skip
def test_half_of_a_tied_pair_is_refused(
    folders: tuple[Path, Path], model_type: str, fields: dict[str, Any], target: str
) -> None:
    base = save_base(folders[0], model_type, fields)
    save_adapter(folders[1], base, targets=[target])
    with pytest.raises(CheckpointError) as raised:
        open_checkpoint(*folders)
    assert raised.value.key == "adapter_tied" and target in str(raised.value)


def test_an_adapter_of_another_architecture(folders: tuple[Path, Path]) -> None:
    save_adapter(folders[1], save_base(folders[0], "bloom", BLOOM))
    save_base(folders[0], "llama", LLAMA)
    with pytest.raises(CheckpointError) as raised:
        open_checkpoint(*folders)
    assert raised.value.key == "adapter_target_missing"
    assert "transformer.h.0." in str(raised.value)


def test_an_adapter_is_no_model(folders: tuple[Path, Path]) -> None:
    save_adapter(folders[1], save_base(folders[0], "llama", LLAMA))
    with pytest.raises(CheckpointError) as raised:
        open_checkpoint(folders[1])
    assert raised.value.key == "adapter_alone"


def test_opening_reads_no_weights(folders: tuple[Path, Path]) -> None:
    """Every refusal comes before a weight is read: the decoder is told apart without torch."""
    save_adapter(folders[1], save_base(folders[0], "llama", LLAMA))
    script = (
        "import sys; from pathlib import Path; from aira_cli.checkpoints.open import *;"
        "open_checkpoint(*map(Path, sys.argv[1:])).forms(); print('torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *map(str, folders)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() == "False"


def test_embeddings_saved_beside_the_adapter_are_refused(folders: tuple[Path, Path]) -> None:
    """PEFT would put them in the base's place."""
    base = save_base(folders[0], "llama", LLAMA | UNTIED)
    save_adapter(folders[1], base, targets=["lm_head"], whole=True)
    with pytest.raises(CheckpointError) as raised:
        open_checkpoint(*folders)
    assert raised.value.key == "adapter_tensor" and "lm_head.base_layer" in str(raised.value)
