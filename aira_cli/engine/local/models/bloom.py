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

from aira_cli.engine.local.kv_cache import CacheShape, KVCache
from aira_cli.engine.local.linear import Embedding, Linear, add_product
from aira_cli.engine.local.models.config import read_config
from aira_cli.engine.local.ops import Heads, LayerNorm, attend, gelu

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
        size = config.hidden_size // config.n_head
        self.layer = layer
        self.heads = Heads(config.n_head, config.n_head, size, head_by_head=True)
        self.query_key_value = Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, normed: Tensor, slopes: Tensor, cache: KVCache) -> Tensor:
        fused = self.query_key_value(normed)  # B T H 3 D
        mixed = attend(fused, self.heads, cache, self.layer, slopes=slopes)  # B T H D
        return add_product(x, self.dense, mixed)


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense_h_to_4h = Linear(config.hidden_size, 4 * config.hidden_size)
        self.dense_4h_to_h = Linear(4 * config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, normed: Tensor) -> Tensor:
        inner = gelu(self.dense_h_to_4h(normed))
        return add_product(x, self.dense_4h_to_h, inner)


class Block(nn.Module):
    """x plus what attention and the MLP add to it."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        size, eps = config.hidden_size, config.layer_norm_epsilon
        self.input_layernorm = LayerNorm(size, eps)
        self.self_attention = SelfAttention(config, layer)
        self.post_attention_layernorm = LayerNorm(size, eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, slopes: Tensor, cache: KVCache) -> Tensor:
        x = self.self_attention(x, self.input_layernorm(x), slopes, cache)
        out: Tensor = self.mlp(x, self.post_attention_layernorm(x))
        return out


class Transformer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        size, eps = config.hidden_size, config.layer_norm_epsilon
        self.word_embeddings = Embedding(config.vocab_size, size)
        self.word_embeddings_layernorm = LayerNorm(size, eps)
        self.h = nn.ModuleList(Block(config, i) for i in range(config.n_layer))
        self.ln_f = LayerNorm(size, eps)


class Model(nn.Module):
    """`inputs` of new tokens → `forward`, hidden states [B, T, C] → `head`, logits."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.word_embeddings.weight
        head_dim = config.hidden_size // config.n_head
        self.cache_shape = CacheShape(config.n_layer, config.n_head, head_dim)

    def inputs(self, ids: Tensor, past: int) -> tuple[Tensor, ...]:
        """ids [B, T] → embeddings [B, T, C] and ALiBi's slopes [H]."""
        x = self.transformer.word_embeddings_layernorm(self.transformer.word_embeddings(ids))
        return x, torch.tensor(alibi_slopes(self.config.n_head), device=ids.device)

    def forward(self, x: Tensor, slopes: Tensor, cache: KVCache) -> Tensor:
        for block in self.transformer.h:
            x = block(x, slopes, cache)
        return x

    def head(self, x: Tensor) -> Tensor:
        """Hidden states [..., C] → logits [..., V]."""
        logits: Tensor = self.lm_head(self.transformer.ln_f(x))
        return logits


def alibi_slopes(heads: int) -> list[float]:
    """Slopes of Press et al. 2022: powers of two, and between them where heads are no power."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    between = [2.0 ** (-4.0 * (2 * i + 1) / power) for i in range(heads - power)]
    return slopes + between
