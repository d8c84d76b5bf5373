"""Tiny random LoRA adapters, written by PEFT for models in a folder, and PEFT's own merges."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

ALL = "all-linear"

LLAMA = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 70}  # fmt: skip
BLOOM = {"hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 70}
GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 70}
UNTIED = {"tie_word_embeddings": False}


def save_base(folder: Path, model_type: str, fields: dict[str, Any]) -> Any:
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(model_type, **fields)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3)
    model.save_pretrained(folder)
    return model


def save_adapter(
    folder: Path,
    model: Any,
    *,
    seed: int = 1,
    targets: Any = ALL,
    r: int = 4,
    whole: bool = False,
    **config: Any,
) -> Any:
    """Writes a random adapter for transformers' `model` to `folder`; returns PEFT's merge.

    `model` becomes that merge. `whole` lets PEFT put the base's embeddings beside the adapter.
    """
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it corrects fan_in_fan_out, and of tied weights
        lora = LoraConfig(
            r=r, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM", **config
        )
        adapted = get_peft_model(model, lora)
        adapted.save_pretrained(folder, save_embedding_layers=whole)
        return adapted.merge_and_unload().eval()


def read_model(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def set_key(adapter: Path, **changes: Any) -> None:
    """Other values in adapter_config.json."""
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def tensors_of(adapter: Path) -> dict[str, torch.Tensor]:
    return load_file(adapter / "adapter_model.safetensors")


def write_tensors(adapter: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(
        {n: t.contiguous() for n, t in tensors.items()}, adapter / "adapter_model.safetensors"
    )
