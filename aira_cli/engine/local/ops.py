"""What happens between two matrix products: our kernels on a CPU in float32, torch elsewhere.

B  rows (samples)   T  new tokens   H  query heads   K  key/value heads   D  head size
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aira_cli.engine.local.graphs import Seen
from aira_cli.engine.local.kv_cache import KVCache
from aira_cli.engine.local.native import kernels
from aira_cli.engine.local.native.kernels import LANES, Attention, Kernels

Rotary = tuple[Tensor, Tensor]  # cosines and sines [T, D]
_FLOAT = 4  # bytes


def _native(x: Tensor, size: int) -> Kernels | None:
    """The kernels if they can work on `x`, whose vectors have `size` numbers."""
    native = kernels.active()
    if native is None:
        return None
    if x.dtype != torch.float32 or x.device.type != "cpu" or size % LANES:
        native.leave_to_torch()
        return None
    return native


class RMSNorm(nn.Module):
    """Root mean square norm (Zhang and Sennrich 2019), the mean taken in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        native = _native(x, x.shape[-1])
        if native is not None:
            return native.rms_norm(x.contiguous(), self.weight, self.eps)
        if x.dtype == torch.float32:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return self.weight * F.rms_norm(x.float(), self.weight.shape, None, self.eps).to(x.dtype)


class LayerNorm(nn.Module):
    """Layer norm (Ba et al. 2016)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.bias = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        native = _native(x, x.shape[-1])
        if native is not None:
            return native.layer_norm(x.contiguous(), self.weight, self.bias, self.eps)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def gelu(x: Tensor) -> Tensor:
    """The tanh form of GELU (Hendrycks and Gimpel 2016)."""
    native = _native(x, x.shape[-1])
    return F.gelu(x, approximate="tanh") if native is None else native.gelu(x.contiguous())


def silu_times(gate_up: Tensor) -> Tensor:
    """[..., gate and up side by side] → silu(gate) * up (Shazeer 2020)."""
    native = _native(gate_up, gate_up.shape[-1] // 2)
    if native is not None:
        return native.silu_times(gate_up.contiguous())
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


@dataclass(frozen=True)
class Heads:
    """How queries, keys and values lie in the output of a fused projection.

    Side by side (all queries, all keys, all values), or head by head (query, key and value of
    the first head, then of the second).
    """

    queries: int
    keys: int
    size: int
    head_by_head: bool = False

    def views(self, fused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, (H + 2 K) D] → queries [B, H, T, D], keys and values [B, K, T, D]."""
        if self.head_by_head:
            split = fused.view(*fused.shape[:2], self.queries, 3, self.size).transpose(1, 2)
            queries, keys, values = split.unbind(3)
            return queries, keys, values
        heads = fused.view(*fused.shape[:2], -1, self.size).transpose(1, 2)
        first_value = self.queries + self.keys
        return (
            heads[:, : self.queries],
            heads[:, self.queries : first_value],
            heads[:, first_value:],
        )


def attend(
    fused: Tensor,
    heads: Heads,
    cache: KVCache,
    layer: int,
    *,
    rotary: Rotary | None = None,
    slopes: Tensor | None = None,
) -> Tensor:
    """Causal attention of new tokens over the cache, which their keys and values join.

    `fused` [B, T, (H + 2 K) D] → [B, T, H * D]. `rotary` turns queries and keys by position;
    `slopes` [H] are ALiBi's, which add slope * position to the scores.
    """
    native = _native(fused, heads.size)
    if native is not None:
        return _attend_native(native, fused.contiguous(), heads, cache, layer, rotary, slopes)
    queries, keys, values = heads.views(fused)
    if rotary is not None:
        queries, keys = rotate(queries, rotary), rotate(keys, rotary)
    past = cache.length
    keys, values = cache.append(layer, keys, values)  # B K past+T D
    mask = _mask(past, queries, slopes) if cache.seen is None else _seen(cache.seen, slopes)
    causal = mask is None and queries.shape[2] > 1
    mixed = F.scaled_dot_product_attention(
        queries, keys, values, mask, is_causal=causal, enable_gqa=heads.queries != heads.keys
    )
    return mixed.transpose(1, 2).flatten(2)


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Rotary position embedding (Su et al. 2021) in the layout that pairs i with i + D/2."""
    cosines, sines = rotary
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-second, first), dim=-1) * sines


def _mask(past: int, queries: Tensor, slopes: Tensor | None) -> Tensor | None:
    """What is added to the scores [.., T, past+T]; None where causality alone is needed."""
    tokens = queries.shape[2]
    if slopes is None and (tokens == 1 or past == 0):
        return None
    mask = torch.zeros((1, past + tokens), dtype=queries.dtype, device=queries.device)
    if tokens > 1:
        mask = torch.full((tokens, past + tokens), float("-inf"), device=queries.device)
        mask = mask.triu(past + 1).to(queries.dtype)
    if slopes is None:
        return mask
    positions = torch.arange(past + tokens, device=queries.device)
    return mask + (slopes[:, None, None] * positions).to(queries.dtype)


def _seen(seen: Seen, slopes: Tensor | None) -> Tensor:
    """The mask over all memory, [1, S] or with ALiBi [H, 1, S]."""
    if slopes is None:
        return seen.mask
    positions = torch.arange(seen.mask.shape[1], device=seen.mask.device)
    return seen.mask + (slopes[:, None, None] * positions).to(seen.mask.dtype)


def _attend_native(
    native: Kernels,
    fused: Tensor,
    heads: Heads,
    cache: KVCache,
    layer: int,
    rotary: Rotary | None,
    slopes: Tensor | None,
) -> Tensor:
    rows, tokens, width = fused.shape
    size = heads.size
    stride, first_key = size, heads.queries * size
    first_value = first_key + heads.keys * size
    if heads.head_by_head:
        stride, first_key, first_value = 3 * size, size, 2 * size
    out = torch.empty((rows, tokens, heads.queries * size))
    keys, values = cache.memory(layer)
    start, turn = fused.data_ptr(), rotary or (None, None)
    alive = (fused, out, keys, values, cache.position, *turn, slopes)
    cosines, sines, inclines = (None if t is None else t.data_ptr() for t in (*turn, slopes))
    call = Attention(
        start, start + first_key * _FLOAT, start + first_value * _FLOAT, width, stride,
        keys.data_ptr(), values.data_ptr(), keys.stride(0), keys.stride(1),
        cosines, sines, inclines, out.data_ptr(), ctypes.addressof(cache.position),
        rows, tokens, heads.queries, heads.keys, size,
    )  # fmt: skip
    native.attend(call, *alive)
    return out
