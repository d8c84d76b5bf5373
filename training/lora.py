"""The model that is taught: transformers' weights, PEFT's LoRA on all linear layers, its file.

PEFT makes the adapter and names its tensors; what is computed with both is `llama.py`'s, what is
learned `train.py`'s.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from aira_cli.checkpoints.adapter import CONFIG, WEIGHTS
from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.models.generic import load_transformers_model
from training.eight_bits import in_eight_bits
from training.llama import Layer, Linears, Shape, forward, largest_inputs, surprise
from training.pairs import NO_TARGET, Batch

try:
    from peft import (
        LoraConfig,
        get_peft_model,
        get_peft_model_state_dict,
        set_peft_model_state_dict,
    )
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing: pip install -e '.[training]'")

BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"  # as it is called in adapter_config.json
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SCALE = 2.0  # of the adapter's products: PEFT's lora_alpha by rank
ADAPTER = "default"  # PEFT's name of a model's only adapter


class Student:
    """A Llama with an adapter to be trained; everything else in it stays as it is."""

    def __init__(self, model: Any, rank: int, dtype: torch.dtype) -> None:
        """`model` is transformers' own in float32; `dtype` is what its products are done in."""
        alpha = int(SCALE * rank)
        lora = LoraConfig(r=rank, lora_alpha=alpha, target_modules=LAYERS, task_type="CAUSAL_LM")
        self.peft = get_peft_model(model, lora)
        self._model = model.model
        self.device: torch.device = model.lm_head.weight.device
        self._head: Tensor = model.lm_head.weight.detach().to(dtype)
        self._layers = [_layer(layer, dtype) for layer in model.model.layers]
        self._shape = Shape(_head_size(model.config), model.config.rms_norm_eps, SCALE)
        self._forward, self._surprise = torch.compile(forward), torch.compile(surprise)
        self.parameters = [(n, p) for n, p in self.peft.named_parameters() if p.requires_grad]

    @torch.no_grad()
    def in_eight_bits(self, batches: Sequence[Batch]) -> None:
        """Multiplies with 8-bit weights from now on; how large inputs are is seen on `batches`.

        Not in the head: its gradient has a large part and thousands of tiny ones, all of which
        would be rounded to zero.
        """
        largest = [[torch.zeros(())] * 4 for _ in self._layers]
        for batch in batches:
            x, turn = self._start(batch.ids)
            for number, layer in enumerate(self._layers):
                x, seen = largest_inputs(x, turn, layer, self._shape)
                largest[number] = _larger(largest[number], seen)
        self._layers = [_rounded(*pair) for pair in zip(self._layers, largest, strict=True)]

    def loss(self, batch: Batch) -> Tensor:
        """The mean negative log-likelihood, in nats, of the batch's targets; with a gradient."""
        x, turn = self._start(batch.ids)
        x.requires_grad_(torch.is_grad_enabled())  # the first layer is compiled like the others
        for layer in self._layers:
            x = self._forward(x, turn, layer, self._shape)
        asked = batch.targets != NO_TARGET  # a vocabulary is large: logits only where there is loss
        norm, targets = self._model.norm.weight, batch.targets[asked]
        lost: Tensor = self._surprise(x[asked], targets, norm, self._head, self._shape)
        return lost

    def _start(self, ids: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What the first layer reads, and what turns it."""
        x = self._model.embed_tokens(ids)
        cosine, sine = self._model.rotary_emb(
            x, torch.arange(ids.shape[1], device=ids.device)[None]
        )
        return x, (cosine[0], sine[0])

    @torch.no_grad()
    def start_from(self, folder: Path) -> None:
        """Takes over an adapter in PEFT's format. SystemExit for one of other layers or sizes."""
        path = folder / WEIGHTS
        if not path.is_file():
            raise SystemExit(f"{folder} holds no {WEIGHTS}")
        given, own = load_file(path), self._tensors()
        if {n: t.shape for n, t in given.items()} != {n: t.shape for n, t in own.items()}:
            raise SystemExit(f"{path} is of other layers or of another rank")
        set_peft_model_state_dict(self.peft, given)

    def save(self, folder: Path) -> None:
        """The adapter in PEFT's format, in float16."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: t.half().cpu().contiguous() for name, t in self._tensors().items()}
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})
        self._save_config(folder / CONFIG)

    def _tensors(self) -> dict[str, Tensor]:
        """The adapter's, by PEFT's names."""
        state: dict[str, Tensor] = get_peft_model_state_dict(self.peft, save_embedding_layers=False)
        return state

    def _save_config(self, path: Path) -> None:
        fields = self.peft.peft_config[ADAPTER].to_dict()
        told = {name: sorted(v) if isinstance(v, set) else v for name, v in fields.items()}
        told |= {"inference_mode": True, "base_model_name_or_path": BASE_NAME}
        path.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_base(path: Path, device: torch.device) -> Any:
    """The checkpoint at `path`, dequantized into transformers' model in float32."""
    return load_transformers_model(open_checkpoint(path), device, torch.float32)


def _larger(one: Sequence[Tensor], other: Sequence[Tensor]) -> list[Tensor]:
    return [torch.maximum(*two) for two in zip(one, other, strict=True)]


def _layer(layer: Any, dtype: torch.dtype) -> Layer:
    """A layer's tensors, as PEFT left them; frozen ones in `dtype`."""
    attention, mlp = layer.self_attn, layer.mlp
    return Layer(
        layer.input_layernorm.weight.detach(),
        _linears(dtype, attention.q_proj, attention.k_proj, attention.v_proj),
        _linears(dtype, attention.o_proj),
        layer.post_attention_layernorm.weight.detach(),
        _linears(dtype, mlp.gate_proj, mlp.up_proj),
        _linears(dtype, mlp.down_proj),
    )


def _linears(dtype: torch.dtype, *linears: Any) -> Linears:
    whole = torch.cat([linear.get_base_layer().weight.detach() for linear in linears]).to(dtype)
    a = tuple(linear.lora_A[ADAPTER].weight for linear in linears)
    return Linears(whole, a, tuple(linear.lora_B[ADAPTER].weight for linear in linears))


def _rounded(layer: Layer, largest: Sequence[Tensor]) -> Layer:
    """The layer with its frozen weights in 8 bits."""
    four = (layer.qkv, layer.out, layer.gate_up, layer.down)
    qkv, out, gate_up, down = (
        linears._replace(frozen=in_eight_bits(linears.frozen, seen))
        for linears, seen in zip(four, largest, strict=True)
    )
    return layer._replace(qkv=qkv, out=out, gate_up=gate_up, down=down)


def _head_size(config: Any) -> int:
    size: int = (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    return size
