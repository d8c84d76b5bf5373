"""BLOOM (Le Scao et al. 2022): layer norms, ALiBi instead of positions, fused projections.

Attribute paths are the checkpoint's tensor names. B rows, T tokens, C hidden size, H heads,
D head size.
"""

from __future__ import annotations

import math
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
    "n_embed": "hidden_size",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
}

FIXED: dict[str, tuple[Any, ...]] = {
    "apply_residual_connection_post_layernorm": (False,),
    "slow_but_exact": (False,),
    "pretraining_tp": tuple(range(1, 65)),  # changes sums only where slow_but_exact is on
    "offset_alibi": (100,),
    "seq_length": tuple(range(1, 1 << 17)),  # ALiBi has no table that would end there
    "attention_softmax_in_fp32": (True,),
    "bias_dropout_fusion": (True, False),
    "n_inner": (None,),
}


@dataclass(frozen=True)
class Config:
    """config.json's own field names."""

    vocab_size: int
    hidden_size: int
    n_layer: int
    n_head: int
    layer_norm_epsilon: float = 1e-5
    tie_word_embeddings: bool = True


def config_of(config: Mapping[str, Any]) -> Config | None:
    """The configuration if this file implements all of it, else None."""
    return read_config(Config, config, ALIASES, FIXED)


class SelfAttention(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.layer, self.n_head = layer, config.n_head
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, alibi: Tensor, cache: KVCache) -> Tensor:
        # The fused projection holds query, key and value head by head.
        fused = self.query_key_value(x).unflatten(-1, (self.n_head, 3, -1))  # B T H 3 D
        queries, keys, values = fused.transpose(1, 2).unbind(3)  # B H T D each
        past = cache.length
        keys, values = cache.append(self.layer, keys, values)  # B H past+T D
        mixed = attend(queries, keys, values, past, alibi)
        out: Tensor = self.dense(mixed.transpose(1, 2).flatten(2))
        return out


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, 4 * config.hidden_size)
        self.dense_4h_to_h = nn.Linear(4 * config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dense_4h_to_h(F.gelu(self.dense_h_to_4h(x), approximate="tanh"))
        return out


class Block(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        size, eps = config.hidden_size, config.layer_norm_epsilon
        self.input_layernorm = nn.LayerNorm(size, eps)
        self.self_attention = SelfAttention(config, layer)
        self.post_attention_layernorm = nn.LayerNorm(size, eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, alibi: Tensor, cache: KVCache) -> Tensor:
        x = x + self.self_attention(self.input_layernorm(x), alibi, cache)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Transformer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        size, eps = config.hidden_size, config.layer_norm_epsilon
        self.word_embeddings = nn.Embedding(config.vocab_size, size)
        self.word_embeddings_layernorm = nn.LayerNorm(size, eps)
        self.h = nn.ModuleList(Block(config, i) for i in range(config.n_layer))
        self.ln_f = nn.LayerNorm(size, eps)


class Model(nn.Module):
    """ids [B, T] behind what the cache holds → logits [B, V] of the last position."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.word_embeddings.weight
        head_dim = config.hidden_size // config.n_head
        self.cache_shape = CacheShape(config.n_layer, config.n_head, head_dim)

    def forward(self, ids: Tensor, cache: KVCache) -> Tensor:
        inner = self.transformer
        x = inner.word_embeddings_layernorm(inner.word_embeddings(ids))  # B T C
        positions = torch.arange(cache.length + ids.shape[1], device=ids.device)
        slopes = torch.tensor(alibi_slopes(self.config.n_head), device=ids.device)
        alibi = (slopes[:, None, None] * positions).to(x.dtype)  # H 1 past+T
        for block in inner.h:
            x = block(x, alibi, cache)
        logits: Tensor = self.lm_head(inner.ln_f(x[:, -1]))
        return logits


def alibi_slopes(heads: int) -> list[float]:
    """Slopes of Press et al. 2022: powers of two, and between them where heads are no power."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    between = [2.0 ** (-4.0 * (2 * i + 1) / power) for i in range(heads - power)]
    return slopes + between
