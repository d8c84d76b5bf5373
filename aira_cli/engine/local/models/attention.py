"""Causal attention over a cache, shared by the decoders. B rows, H heads, T new tokens, D size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, past: int, bias: Tensor | None = None
) -> Tensor:
    """queries [B, H, T, D] over keys and values [B, K, past+T, D] → [B, H, T, D].

    Query i sees the keys up to past + i. Fewer key heads than query heads are shared by
    neighbouring ones. `bias` [H, 1, past+T] is added to the scores (ALiBi).
    """
    tokens = queries.shape[2]
    grouped = queries.shape[1] != keys.shape[1]
    mask = _mask(tokens, past, queries, bias)
    causal = mask is None and tokens > 1
    return F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, is_causal=causal, enable_gqa=grouped
    )


def _mask(tokens: int, past: int, like: Tensor, bias: Tensor | None) -> Tensor | None:
    """What is added to the scores; None where causality alone, or nothing, is needed."""
    if bias is None and (tokens == 1 or past == 0):
        return None
    if tokens == 1:
        return bias
    hidden = torch.full((tokens, past + tokens), float("-inf"), device=like.device)
    mask = hidden.triu(past + 1).to(like.dtype)
    return mask if bias is None else mask + bias
