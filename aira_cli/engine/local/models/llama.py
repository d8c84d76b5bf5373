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
from torch.nn import functional as F

from aira_cli.engine.local.kv_cache import CacheShape, KVCache
from aira_cli.engine.local.models.attention import attend
from aira_cli.engine.local.models.config import read_config

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
        self.layer, self.head_dim = layer, config.head_size
        hidden, query = config.hidden_size, config.num_attention_heads * self.head_dim
        self.q_proj = nn.Linear(hidden, query, bias=False)
        self.k_proj = nn.Linear(hidden, config.kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(hidden, config.kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(query, hidden, bias=False)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], cache: KVCache) -> Tensor:
        queries = rotate(self._heads(self.q_proj(x)), rotary)  # B H T D
        keys = rotate(self._heads(self.k_proj(x)), rotary)  # B K T D
        values = self._heads(self.v_proj(x))
        past = cache.length
        keys, values = cache.append(self.layer, keys, values)  # B K past+T D
        mixed = attend(queries, keys, values, past)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """[B, T, heads * D] → [B, heads, T, D]"""
        return x.view(*x.shape[:-1], -1, self.head_dim).transpose(1, 2)


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary position embedding (Su et al. 2021) in the layout that pairs i with i + D/2."""
    cos, sin = rotary
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        hidden, inner = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class RMSNorm(nn.Module):
    """Root mean square norm (Zhang and Sennrich 2019), the mean taken in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return self.weight * F.rms_norm(x.float(), self.weight.shape, None, self.eps).to(x.dtype)


class Block(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], cache: KVCache) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotary, cache)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Layers(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Model(nn.Module):
    """ids [B, T] behind what the cache holds → logits [B, V] of the last position."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = Layers(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        self.cache_shape = CacheShape(config.num_hidden_layers, config.kv_heads, config.head_size)

    def forward(self, ids: Tensor, cache: KVCache) -> Tensor:
        x = self.model.embed_tokens(ids)  # B T C
        rotary = self._rotary(cache.length, ids.shape[1], x)
        for block in self.model.layers:
            x = block(x, rotary, cache)
        logits: Tensor = self.lm_head(self.model.norm(x[:, -1]))
        return logits

    def _rotary(self, past: int, tokens: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [T, D] of the positions from `past` on, computed in float32."""
        size = self.config.head_size
        exponents = torch.arange(0, size, 2, device=like.device).float() / size
        positions = torch.arange(past, past + tokens, device=like.device).float()
        angles = positions[:, None] / self.config.rope_theta**exponents  # T D/2
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(like.dtype), angles.sin().to(like.dtype)
