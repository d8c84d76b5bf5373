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

from aira_cli.engine.local.kv_cache import CacheShape, KVCache
from aira_cli.engine.local.linear import Embedding, Linear, add_product
from aira_cli.engine.local.models.config import read_config
from aira_cli.engine.local.ops import Heads, LayerNorm, attend, gelu

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


class Conv1D(Linear):
    """A linear layer whose weight is stored [inputs, outputs]."""

    transposed = True


class Attention(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads = Heads(config.n_head, config.n_head, config.n_embd // config.n_head)
        self.c_attn = Conv1D(config.n_embd, 3 * config.n_embd)
        self.c_proj = Conv1D(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, normed: Tensor, cache: KVCache) -> Tensor:
        fused = self.c_attn(normed)  # B T 3 H D
        mixed = attend(fused, self.heads, cache, self.layer)  # B T H D
        return add_product(x, self.c_proj, mixed)


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.c_fc = Conv1D(config.n_embd, 4 * config.n_embd)
        self.c_proj = Conv1D(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor, normed: Tensor) -> Tensor:
        inner = gelu(self.c_fc(normed))
        return add_product(x, self.c_proj, inner)


class Block(nn.Module):
    """x plus what attention and the MLP add to it."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.ln_1 = LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.attn = Attention(config, layer)
        self.ln_2 = LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cache: KVCache) -> Tensor:
        x = self.attn(x, self.ln_1(x), cache)
        out: Tensor = self.mlp(x, self.ln_2(x))
        return out


class Transformer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.wte = Embedding(config.vocab_size, config.n_embd)
        self.wpe = Embedding(config.n_positions, config.n_embd)
        self.h = nn.ModuleList(Block(config, i) for i in range(config.n_layer))
        self.ln_f = LayerNorm(config.n_embd, config.layer_norm_epsilon)


class Model(nn.Module):
    """`inputs` of new tokens → `forward`, hidden states [B, T, C] → `head`, logits."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.wte.weight
        head_dim = config.n_embd // config.n_head
        self.cache_shape = CacheShape(config.n_layer, config.n_head, head_dim)

    def inputs(self, ids: Tensor, past: int) -> tuple[Tensor, ...]:
        """ids [B, T] behind `past` positions → embeddings [B, T, C]."""
        positions = torch.arange(past, past + ids.shape[1], device=ids.device)
        return (self.transformer.wte(ids) + self.transformer.wpe(positions),)

    def forward(self, x: Tensor, cache: KVCache) -> Tensor:
        for block in self.transformer.h:
            x = block(x, cache)
        return x

    def head(self, x: Tensor) -> Tensor:
        """Hidden states [..., C] → logits [..., V]."""
        logits: Tensor = self.lm_head(self.transformer.ln_f(x))
        return logits
