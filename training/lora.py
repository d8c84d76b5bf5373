"""The base model in transformers with PEFT's LoRA on all linear layers, and its file.

PEFT makes the adapter and names its tensors; the products are done here, in fewer passes. What
is learned is left to `train.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import Linear
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.models.generic import load_transformers_model
from training.pairs import NO_TARGET, Batch

BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"  # as it is called in adapter_config.json
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTER = "default"  # PEFT's name of a model's only adapter


class Product(torch.autograd.Function):
    """x Wᵀ with W = base + scale · B A already summed, and the gradients of x, A and B.

    PEFT computes the two products apart, and touches each layer's output four times more: on a
    CPU a fifth of the time. x [..., K], a [R, K], b [N, R], whole [N, K] in the number type of
    the products.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, whole: Tensor, scale: float) -> Tensor:
        inputs = x.to(whole.dtype)
        ctx.save_for_backward(inputs, a, b)
        ctx.whole, ctx.scale, ctx.dtype = whole, scale, x.dtype
        return F.linear(inputs, whole).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, a, b = ctx.saved_tensors
        outer = gradient.to(x.dtype)
        of_x = (outer @ ctx.whole).to(ctx.dtype) if ctx.needs_input_grad[0] else None
        x, outer = x.flatten(0, -2), outer.flatten(0, -2)
        of_a = (outer @ b.to(x.dtype)).T @ x
        of_b = outer.T @ (x @ a.to(x.dtype).T)
        return of_x, of_a.to(a.dtype) * ctx.scale, of_b.to(b.dtype) * ctx.scale, None, None


@dataclass
class Layer:
    """A linear layer with its adapter, and the sum of both in the type that is multiplied in."""

    linear: Any  # PEFT's Linear
    whole: Tensor

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        return self.linear.lora_A[ADAPTER].weight, self.linear.lora_B[ADAPTER].weight

    @torch.no_grad()
    def sum_up(self) -> None:
        a, b = self.factors
        base = self.linear.get_base_layer().weight
        scale = self.linear.scaling[ADAPTER]
        self.whole.copy_(torch.addmm(base, b, a, alpha=scale))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.linear.scaling[ADAPTER]
        product: Tensor = Product.apply(x, *self.factors, self.whole, scale)  # type: ignore[no-untyped-call]
        return product


class Student:
    """A causal model with an adapter to be trained; everything else in it stays as it is."""

    def __init__(self, model: Any, rank: int, dtype: torch.dtype) -> None:
        """`model` is transformers' own in float32; `dtype` is what its products are done in."""
        model.config.use_cache = False
        config = LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules=LAYERS, task_type="CAUSAL_LM"
        )
        self.peft = get_peft_model(model, config)
        self._model = model
        self._head = model.lm_head.weight.detach().to(dtype)
        self._layers = [_patched(m, dtype) for m in self.peft.modules() if isinstance(m, Linear)]
        self.parameters = [(n, p) for n, p in self.peft.named_parameters() if p.requires_grad]

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self._head.dtype
        return dtype

    @property
    def device(self) -> torch.device:
        device: torch.device = self._head.device
        return device

    def loss(self, batch: Batch) -> Tensor:
        """The mean negative log-likelihood, in nats, of the batch's targets; with a gradient."""
        for layer in self._layers:
            layer.sum_up()
        hidden = self._model.model(batch.ids).last_hidden_state  # B T C
        asked = batch.targets != NO_TARGET
        # a vocabulary is large: logits only where there is loss
        logits = F.linear(hidden[asked].to(self._head.dtype), self._head)
        return F.cross_entropy(logits.float(), batch.targets[asked])

    def save(self, folder: Path) -> None:
        """The adapter in PEFT's format, in float16."""
        folder.mkdir(parents=True, exist_ok=True)
        state = get_peft_model_state_dict(self.peft, save_embedding_layers=False)
        tensors = {name: tensor.half().cpu().contiguous() for name, tensor in state.items()}
        save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        self._save_config(folder / "adapter_config.json")

    def _save_config(self, path: Path) -> None:
        fields = self.peft.peft_config[ADAPTER].to_dict()
        told = {name: sorted(v) if isinstance(v, set) else v for name, v in fields.items()}
        told |= {"inference_mode": True, "base_model_name_or_path": BASE_NAME}
        path.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_base(path: Path, device: torch.device) -> Any:
    """The checkpoint at `path`, dequantized into transformers' model in float32."""
    return load_transformers_model(open_checkpoint(path), device, torch.float32)


def _patched(linear: Any, dtype: torch.dtype) -> Layer:
    """The layer, computing by `Product` from now on."""
    layer = Layer(linear, linear.get_base_layer().weight.detach().to(dtype, copy=True))
    linear.forward = layer.forward
    return layer
