"""Llama (Touvron et al. 2023): RMS norms, rotary positions, grouped key/value heads, SwiGLU.

Attribute paths are the checkpoint's tensor names. B rows, T tokens, C hidden size, H query
heads, K key/value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aira_cli.engine.local.kv_cache import CacheShape, KVCache
from aira_cli.engine.local.linear import Embedding, Linear, add_product, project
from aira_cli.engine.local.models.config import read_config
from aira_cli.engine.local.ops import Heads, RMSNorm, Rotary, attend, silu_times

BASE_PREFIX = "model."

FIXED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "rope_scaling": (None,),
    "pretraining_tp": (1,),
}


@dataclass(frozen=True)
class Config:
    """config.json's own field names."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int = 0  # 0: as many as query heads
    head_dim: int = 0  # 0: the hidden size divided among the heads
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    max_position_embeddings: int = 2048
    tie_word_embeddings: bool = False

    @property
    def kv_heads(self) -> int:
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads


def config_of(config: Mapping[str, Any]) -> Config | None:
    """The configuration if this file implements all of it, else None.

    Newer files keep the rotary settings together under `rope_parameters`.
    """
    rope = dict(config.get("rope_parameters") or {})
    if rope.pop("rope_type", "default") != "default":
        return None
    flat = {key: value for key, value in config.items() if key != "rope_parameters"} | rope
    return read_config(Config, flat, {}, FIXED)


class Attention(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads = Heads(config.num_attention_heads, config.kv_heads, config.head_size)
        hidden, query = config.hidden_size, config.num_attention_heads * config.head_size
        self.q_proj = Linear(hidden, query, bias=False)
        self.k_proj = Linear(hidden, config.kv_heads * config.head_size, bias=False)
        self.v_proj = Linear(hidden, config.kv_heads * config.head_size, bias=False)
        self.o_proj = Linear(query, hidden, bias=False)

    def forward(self, x: Tensor, normed: Tensor, rotary: Rotary, cache: KVCache) -> Tensor:
        fused = project(normed, self.q_proj, self.k_proj, self.v_proj)  # B T (H + 2 K) D
        mixed = attend(fused, self.heads, cache, self.layer, rotary=rotary)  # B T H D
        return add_product(x, self.o_proj, mixed)


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        hidden, inner = config.hidden_size, config.intermediate_size
        self.gate_proj = Linear(hidden, inner, bias=False)
        self.up_proj = Linear(hidden, inner, bias=False)
        self.down_proj = Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor, normed: Tensor) -> Tensor:
        inner = silu_times(project(normed, self.gate_proj, self.up_proj))
        return add_product(x, self.down_proj, inner)


class Block(nn.Module):
    """x plus what attention and the MLP add to it."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rotary: Rotary, cache: KVCache) -> Tensor:
        x = self.self_attn(x, self.input_layernorm(x), rotary, cache)
        out: Tensor = self.mlp(x, self.post_attention_layernorm(x))
        return out


class Layers(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Model(nn.Module):
    """`inputs` of new tokens → `forward`, hidden states [B, T, C] → `head`, logits."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = Layers(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        self.cache_shape = CacheShape(config.num_hidden_layers, config.kv_heads, config.head_size)

    def inputs(self, ids: Tensor, past: int) -> tuple[Tensor, ...]:
        """ids [B, T] behind `past` positions → embeddings [B, T, C], cosines and sines [T, D]."""
        x = self.model.embed_tokens(ids)
        return x, *self._rotary(past, ids.shape[1], x)

    def forward(self, x: Tensor, cosines: Tensor, sines: Tensor, cache: KVCache) -> Tensor:
        for block in self.model.layers:
            x = block(x, (cosines, sines), cache)
        return x

    def head(self, x: Tensor) -> Tensor:
        """Hidden states [..., C] → logits [..., V]."""
        logits: Tensor = self.lm_head(self.model.norm(x))
        return logits

    def _rotary(self, past: int, tokens: int, like: Tensor) -> Rotary:
        """Cosines and sines [T, D] of the positions from `past` on, computed in float32."""
        size = self.config.head_size
        exponents = torch.arange(0, size, 2, device=like.device).float() / size
        positions = torch.arange(past, past + tokens, device=like.device).float()
        angles = positions[:, None] / self.config.rope_theta**exponents  # T D/2
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(like.dtype), angles.sin().to(like.dtype)
