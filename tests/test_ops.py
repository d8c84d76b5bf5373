"""Norms, activations and attention against float64: by our kernels (both builds) and by torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from aira_cli.engine.local.kv_cache import CacheShape, KVCache
from aira_cli.engine.local.native.kernels import Kernels
from aira_cli.engine.local.ops import Heads, LayerNorm, RMSNorm, attend, gelu, silu_times
from tests.kernel_builds import BUILDS, in_use

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=[*BUILDS, "torch"])
def native(request: pytest.FixtureRequest, kernels_folder: Path) -> Iterator[Kernels | None]:
    """The kernels in use, or None: torch computes."""
    if request.param == "torch":
        yield None
        return
    with in_use(request.param, kernels_folder) as kernels:
        yield kernels


@pytest.fixture(autouse=True)
def repeatable() -> Iterator[None]:
    """The same random numbers every time, and torch's threads as they were."""
    threads = torch.get_num_threads()
    torch.manual_seed(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


def assert_near(found: Tensor, expected: Tensor, share: float = 1e-6) -> None:
    """Within a `share` of the largest."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= share * expected.abs().max()


SHAPES = [(1, 16), (3, 64), (70, 576), (2, 20, 48), (5, 60)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_norms(native: Kernels | None, shape: tuple[int, ...]) -> None:
    size = shape[-1]
    for eps, x in ((1e-5, torch.randn(shape) * 3 + 1), (1e-3, torch.randn(shape) * 0.01)):
        rms, layer = RMSNorm(size, eps), LayerNorm(size, eps)
        for parameter in (rms.weight, layer.weight, layer.bias):
            parameter.data = torch.randn(size)
        wide = x.double()
        root = (wide.square().mean(-1, keepdim=True) + eps).sqrt()
        assert_near(rms(x), wide / root * rms.weight.double())
        away = wide - wide.mean(-1, keepdim=True)
        root = (away.square().mean(-1, keepdim=True) + eps).sqrt()
        expected = away / root * layer.weight.double() + layer.bias.double()
        assert_near(layer(x), expected, 2e-6)
        assert_near(rms(x.transpose(0, -1).contiguous().transpose(0, -1)), rms(x).double())


@pytest.mark.parametrize("size", [16, 48, 1024, 24])
def test_activations_over_all_their_range(native: Kernels | None, size: int) -> None:
    ends = torch.tensor([0.0, 1e4, -1e4, 88, -88, 87.4, -87.4, 103, -104, 1e-8, -1e-8, 700, -700])
    x = torch.cat((ends, torch.randn(97 * size - 13) * 8)).view(97, size)
    up = torch.randn(97, size)
    wide = x.double()
    # where float32 ends, at 1e-38, our exponential keeps to 1e-38: both are as good as zero
    expected = wide * torch.sigmoid(wide) * up.double()
    found = silu_times(torch.cat((x, up), dim=-1)).double()
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=1e-30)
    inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    expected = wide * torch.sigmoid(2 * inner)
    torch.testing.assert_close(gelu(x).double(), expected, rtol=2e-5, atol=1e-6)
    many = torch.randn(2100, 16)  # enough for several threads
    torch.set_num_threads(2)
    assert_near(gelu(many), F.gelu(many.double(), approximate="tanh"))


# attention


def fuse(heads: Heads, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """[B, T, heads, D] each → what a fused projection gives, [B, T, (H + 2 K) D]."""
    if heads.head_by_head:
        return torch.stack((queries, keys, values), dim=3).flatten(2)
    return torch.cat((queries, keys, values), dim=2).flatten(2)


def turned(x: Tensor, first: int) -> Tensor:
    """Rotary embedding of x [B, T, H, D] from position `first` on, as a product of complex
    numbers whose parts are i and i + D/2."""
    size, positions = x.shape[-1], torch.arange(first, first + x.shape[1]).double()
    speeds = 10000.0 ** (-torch.arange(0, size, 2).double() / size)
    angles = torch.outer(positions, speeds)[:, None]  # T 1 D/2
    unit = torch.polar(torch.ones_like(angles), angles)
    both = torch.complex(*x.double().chunk(2, dim=-1)) * unit
    return torch.cat((both.real, both.imag), dim=-1)


def rotary(size: int, first: int, tokens: int) -> tuple[Tensor, Tensor]:
    speeds = 10000.0 ** (-torch.arange(0, size, 2).double() / size)
    angles = torch.outer(torch.arange(first, first + tokens).double(), speeds)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().float(), angles.sin().float()


def exact(queries: Tensor, keys: Tensor, values: Tensor, slopes: Tensor | None) -> Tensor:
    """torch's attention in float64 over all tokens [B, T, heads, D] → [B, T, H * D].

    ALiBi is written by distance, as Press et al. do: it differs from ours by a constant a query.
    """
    tokens = queries.shape[1]
    places = torch.arange(tokens)
    mask = torch.zeros(tokens, tokens).masked_fill(places[None] > places[:, None], -torch.inf)
    if slopes is not None:
        mask = mask - slopes[:, None, None] * (places[:, None] - places[None]).abs()
    q, k, v = (x.double().transpose(1, 2) for x in (queries, keys, values))
    grouped = q.shape[1] != k.shape[1]
    mixed = F.scaled_dot_product_attention(q, k, v, mask.double(), enable_gqa=grouped)
    return mixed.transpose(1, 2).flatten(2)


class Case:
    """Random queries, keys and values of `rows` samples, and a cache of two layers."""

    def __init__(self, heads: Heads, rows: int, tokens: int, style: str, scale: float = 1) -> None:
        self.heads, self.style = heads, style
        self.parts = [
            torch.randn(rows, tokens, count, heads.size) * scale
            for count in (heads.queries, heads.keys, heads.keys)
        ]
        self.slopes = torch.rand(heads.queries) if style == "alibi" else None
        self.cache = KVCache(CacheShape(2, heads.keys, heads.size), CPU, torch.float32)
        self.cache.widen(rows)

    def attend(self, tokens: int) -> Tensor:
        """The next tokens' attention in the second layer, behind what was asked before."""
        first = self.cache.length
        fused = fuse(self.heads, *(part[:, first : first + tokens] for part in self.parts))
        self.cache.reserve(tokens)
        turn = rotary(self.heads.size, first, tokens) if self.style == "rotary" else None
        mixed = attend(fused, self.heads, self.cache, 1, rotary=turn, slopes=self.slopes)
        self.cache.advance(tokens)
        return mixed

    def assert_near(self, found: Tensor) -> None:
        """`found` are the last tokens. Scores with slope * position have float32's rounding."""
        tokens = self.parts[0].shape[1]
        share = 2e-6 + (1e-7 * tokens if self.slopes is not None else 0)
        assert_near(found, self.exact()[:, tokens - found.shape[1] :], share)

    def exact(self) -> Tensor:
        queries, keys, values = self.parts
        if self.style == "rotary":
            queries, keys = turned(queries, 0), turned(keys, 0)
        return exact(queries, keys, values, self.slopes)


FORMS = [(4, 4), (6, 2), (3, 1)]
SIZES = [16, 20, 32, 48, 64, 80, 96, 112, 128, 256]


@pytest.mark.parametrize("style", ["plain", "rotary", "alibi"])
@pytest.mark.parametrize("size", SIZES)
def test_attention(native: Kernels | None, size: int, style: str) -> None:
    for heads in (*(Heads(q, k, size) for q, k in FORMS), Heads(4, 4, size, head_by_head=True)):
        for tokens in (*range(1, 10), 40):
            for past in (0, 37):
                rows = 1 + (tokens + past) % 3
                case = Case(heads, rows, past + tokens, style)
                if past:
                    case.attend(past)
                case.assert_near(case.attend(tokens))


@pytest.mark.parametrize("style", ["plain", "rotary", "alibi"])
def test_attention_across_blocks_of_the_cache(native: Kernels | None, style: str) -> None:
    case = Case(Heads(6, 2, 64), 2, 300, style)
    found = [case.attend(tokens) for tokens in (120, 1, 1, 8, 1, 130, 1, 37, 1)]
    case.assert_near(torch.cat(found, dim=1))


def test_scores_of_any_size(native: Kernels | None) -> None:
    for scale in (1e-20, 30, 1e3):
        case = Case(Heads(4, 2, 32), 2, 21, "plain", scale)
        found = torch.cat((case.attend(20), case.attend(1)), dim=1)
        assert_near(found, case.exact(), 1e-3 if scale > 30 else 1e-4)  # float32's own scores


@pytest.mark.parametrize("style", ["plain", "rotary", "alibi"])
def test_a_token_is_what_it_is_alone(native: Kernels | None, style: str) -> None:
    """Bit for bit: read one by one or together, alone or beside others, by any threads."""
    if native is None:
        pytest.skip("torch's attention adds in another order for other shapes")
    for size in (32, 64, 128):
        case = Case(Heads(4, 2, size), 3, 60, style)
        one_by_one = torch.cat([case.attend(1) for _ in range(60)], dim=1)
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert case.cache.rewind(0)
            parts = [case.attend(tokens) for tokens in (5, 9, 2, 41, 3)]
            assert torch.equal(torch.cat(parts, dim=1), one_by_one)
            for row in range(3):
                lone = Case(Heads(4, 2, size), 1, 60, style)
                lone.parts, lone.slopes = [p[row : row + 1] for p in case.parts], case.slopes
                assert torch.equal(lone.attend(60), one_by_one[row : row + 1])


def test_what_is_no_number_spoils_its_own_row_only(native: Kernels | None) -> None:
    case = Case(Heads(4, 2, 32), 3, 9, "rotary")
    expected = case.exact()
    case.parts[0][1, 3], case.parts[1][1, 5], case.parts[2][1, 6] = torch.nan, torch.inf, torch.nan
    found = torch.cat((case.attend(8), case.attend(1)), dim=1)
    assert_near(found[[0, 2]], expected[[0, 2]], 2e-6)
