"""GPT-2 (Radford et al. 2019): learned positions, layer norms, fused projections.

Attribute paths are the checkpoint's tensor names. B rows, T tokens, C hidden size, H heads,
D head size.
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

BASE_PREFIX = "transformer."

ALIASES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}

FIXED: dict[str, tuple[Any, ...]] = {
    "activation_function": ("gelu_new",),
    "add_cross_attention": (False,),
    "n_ctx": tuple(range(1, 1 << 17)),  # an old name for n_positions that nothing reads
    "n_inner": (None,),
    "reorder_and_upcast_attn": (False,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "scale_attn_weights": (True,),
}


@dataclass(frozen=True)
class Config:
    """config.json's own field names."""

    vocab_size: int
    n_embd: int
    n_layer: int
    n_head: int
    n_positions: int = 1024
    layer_norm_epsilon: float = 1e-5
    tie_word_embeddings: bool = True


def config_of(config: Mapping[str, Any]) -> Config | None:
    """The configuration if this file implements all of it, else None."""
    return read_config(Config, config, ALIASES, FIXED)


class Conv1D(nn.Module):
    """A linear layer whose weight is stored [inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.T, self.bias)


class Attention(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.layer, self.n_head = layer, config.n_head
        self.c_attn = Conv1D(config.n_embd, 3 * config.n_embd)
        self.c_proj = Conv1D(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, cache: KVCache) -> Tensor:
        fused = self.c_attn(x).unflatten(-1, (3, self.n_head, -1))  # B T 3 H D
        queries, keys, values = fused.transpose(1, 3).unbind(2)  # B H T D each
        past = cache.length
        keys, values = cache.append(self.layer, keys, values)  # B H past+T D
        mixed = attend(queries, keys, values, past)
        out: Tensor = self.c_proj(mixed.transpose(1, 2).flatten(2))
        return out


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.c_fc = Conv1D(config.n_embd, 4 * config.n_embd)
        self.c_proj = Conv1D(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))
        return out


class Block(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cache: KVCache) -> Tensor:
        x = x + self.attn(self.ln_1(x), cache)
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class Transformer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.h = nn.ModuleList(Block(config, i) for i in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)


class Model(nn.Module):
    """ids [B, T] behind what the cache holds → logits [B, V] of the last position."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.wte.weight
        head_dim = config.n_embd // config.n_head
        self.cache_shape = CacheShape(config.n_layer, config.n_head, head_dim)

    def forward(self, ids: Tensor, cache: KVCache) -> Tensor:
        inner = self.transformer
        past = cache.length
        positions = torch.arange(past, past + ids.shape[1], device=ids.device)
        x = inner.wte(ids) + inner.wpe(positions)  # B T C
        for block in inner.h:
            x = block(x, cache)
        logits: Tensor = self.lm_head(inner.ln_f(x[:, -1]))
        return logits
