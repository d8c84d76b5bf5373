"""Matrices of torch's kernels, rounding at load, and which weight becomes what."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from aira_cli.checkpoints.weights import Dense, Int4, Weight
from aira_cli.engine.local.choose import Use, choose
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.matrix import DenseMatrix, PackedMatrix, PlainMatrix
from aira_cli.engine.local.native import kernels
from aira_cli.engine.local.rounding import round_to_int4, round_to_int8
from aira_cli.engine.local.torch_matrix import Int8Matrix, torch_int4
from tests import random_weights
from tests.random_weights import INT4, KINDS, PACKED

CPU = torch.device("cpu")
BFLOAT16 = 2.0**-8  # between two neighbours, relative


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.manual_seed(1)


def exact(record: Weight) -> Tensor:
    return record.dense(torch.float32).double()


# torch's kernels


@pytest.mark.parametrize("group", [32, 64, 128, 256])
@pytest.mark.parametrize("kind", INT4)
def test_torch_int4_product(kind: str, group: int) -> None:
    """bfloat16 inputs come in exactly; only the output is rounded."""
    record, bias = INT4[kind](80, 512, group), torch.randn(80)
    matrix = torch_int4(record, CPU)
    assert matrix is not None
    for shape in ((1, 512), (4, 512), (2, 9, 512), (70, 512)):
        x = torch.randn(shape).bfloat16()
        expected = x.double() @ exact(record).T
        found = matrix.multiply(x.float(), None)
        assert found.dtype == torch.float32 and found.shape == (*shape[:-1], 80)
        assert (found - expected).abs().max() <= 2 * BFLOAT16 * expected.abs().max()
        assert (found - expected).norm() <= BFLOAT16 * expected.norm()
        assert torch.equal(matrix.multiply(x.float(), bias), found + bias)
        assert matrix.multiply(x, None).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["int4-points", "int4-eight"])
def test_two_tables_are_the_files_numbers(kind: str) -> None:
    record = INT4[kind](64, 256, 32)
    matrix = torch_int4(record, CPU)
    assert matrix is not None and matrix.tables.dtype == torch.bfloat16
    scale, zero = matrix.tables.double().sum(0).transpose(0, 1).unbind(-1)  # N K/G each
    points = torch.as_tensor(record.points).double()
    assert torch.equal(scale, record.scale.double())
    assert torch.equal(zero, (8 - points) * record.scale.double())


def test_scales_between_two_bfloat16_are_not_rounded() -> None:
    """257/256 would become 1: then all outputs were 0.4 % too small."""
    scale = torch.full((64, 8), 257 / 256).half()
    record = Int4(torch.randint(9, 16, (64, 256), dtype=torch.uint8), scale, 32, 8)
    matrix = torch_int4(record, CPU)
    assert matrix is not None and len(matrix.tables) == 2
    x = torch.rand(8, 256).bfloat16().float()
    found, expected = matrix.multiply(x, None), x.double() @ exact(record).T
    assert abs((found / expected - 1).mean()) < 0.0025  # the sum of two is rounded once more
    even = Int4(record.q, torch.ones(64, 8).half(), 32, 8)
    matrix = torch_int4(even, CPU)
    assert matrix is not None and len(matrix.tables) == 1  # nothing left over, one product


def test_shapes_that_torch_has_no_int4_kernel_for() -> None:
    for outputs, inputs, group in ((64, 96, 48), (64, 512, 512), (40, 64, 32)):
        record = random_weights.int4_points(outputs, inputs, group)
        assert torch_int4(record, CPU) is None
        assert torch_int4(record, torch.device("mps")) is None


def test_torch_int8() -> None:
    record, bias = random_weights.int8_rows(70, 256, 256), torch.randn(70)
    matrix = Int8Matrix(record, CPU)
    for shape in ((1, 256), (2, 9, 256)):
        x = torch.randn(shape).bfloat16()
        expected = x.double() @ exact(record).T
        found = matrix.multiply(x.float(), None)
        assert (found - expected).norm() <= BFLOAT16 * expected.norm()
        assert torch.equal(matrix.multiply(x.float(), bias), found + bias)
    ids = torch.tensor([[3, 69], [0, 3]])
    assert torch.equal(matrix.rows(ids, torch.float32), record.dense(torch.float32)[ids])


# rounding

SPREADS = [1e-3, 1e-2, 1.0, 1e3]


def uneven(spread: float) -> Tensor:
    """Rows of all sizes, one of them zero, one with an outlier, one of equal numbers."""
    weight = torch.randn(37, 256) * spread
    weight[0], weight[2] = 0, spread
    weight[1, 70] = 40 * spread
    return weight


@pytest.mark.parametrize("spread", [1e-30, *SPREADS, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_int8_errs_by_half_a_step(spread: float, dtype: torch.dtype) -> None:
    weight = uneven(spread).to(dtype)
    if not weight.isfinite().all():
        pytest.skip("float16 ends before")
    record = round_to_int8(weight)
    assert (record.group_size, record.scale.dtype) == (256, torch.bfloat16)
    assert record.q.min() >= -127
    error = (record.q.double() * record.scale.double() - weight.double()).abs()
    assert (error <= record.scale.double() / 2 * (1 + 1e-6)).all()
    largest = weight.double().abs().amax(1, keepdim=True)
    assert (record.scale.double() <= (largest / 127).clamp_min(2e-38) * (1 + 2 * BFLOAT16)).all()


@pytest.mark.parametrize("spread", [1e-5, *SPREADS])
def test_int4_errs_by_half_a_step(spread: float) -> None:
    """Beyond that, by the rounding of scale and minimum to float16."""
    weight = uneven(spread)
    record = round_to_int4(weight)
    assert record.minima is not None and record.points == 0 and record.group_size == 32
    assert record.scale.dtype == record.minima.dtype == torch.float16
    groups = weight.double().view(37, 8, 32)
    least, most = groups.amin(2), groups.amax(2)
    step = (most - least) / 15
    tables = 2**-11 * (least.abs() + 15 * step) + 16 * 2**-25  # the last where float16 is even
    error = (exact(record).view(37, 8, 32) - groups).abs()
    assert (error <= (step / 2 + tables)[..., None]).all()
    same = least == most
    assert same.sum() >= 8
    assert (error[same] <= 2**-11 * most[same, None].abs() + 2**-25).all()


def test_rounding_in_blocks_is_rounding_at_once() -> None:
    """More rows than are rounded at a time."""
    weight = torch.randn(4096 * 2 + 5, 32)
    int8, int4 = round_to_int8(weight), round_to_int4(weight)
    for row in (0, 4095, 4096, 8196):
        alone8, alone4 = round_to_int8(weight[row : row + 1]), round_to_int4(weight[row : row + 1])
        assert torch.equal(int8.dense(torch.float32)[row], alone8.dense(torch.float32)[0])
        assert torch.equal(int4.dense(torch.float32)[row], alone4.dense(torch.float32)[0])


# what becomes what

LAYER, HEAD, TABLE = Use(True, False), Use(True, True), Use(False, True)
Asked = Literal["stored", "dense", "int8", "int4"]


def chosen(record: Weight, asked: Asked, use: Use, dtype: torch.dtype = torch.float32) -> str:
    """The class and, of our own, the kind of number that `record` is kept in."""
    matrix = choose(record, CPU, Precision(dtype, asked), use)
    if isinstance(matrix, PackedMatrix):
        names = ("int4-points", "int4-eight", "int4-minima", "int8-groups", "int8-rows")
        return names[matrix.kind]
    if isinstance(matrix, PlainMatrix | DenseMatrix):
        return f"{type(matrix).__name__} {matrix.weight.dtype}".replace("torch.", "")
    return type(matrix).__name__


#: Kind of record → what it becomes as a layer when it is to stay as stored, with our kernels and
#: with torch's (in bfloat16), when 8 bits are asked for, and when 4 are.
BECOMES = {
    "float32": ("PlainMatrix float32", "DenseMatrix bfloat16", "int8-rows", "int4-minima"),
    "float16": ("PlainMatrix float16", "DenseMatrix bfloat16", "int8-rows", "int4-minima"),
    "bfloat16": ("PlainMatrix bfloat16", "DenseMatrix bfloat16", "int8-rows", "int4-minima"),
    **{kind: (kind, "Int4Matrix", kind, kind) for kind in INT4},
    "int8-groups": ("int8-groups", "DenseMatrix bfloat16", "int8-groups", "int8-groups"),
    "int8-rows": ("int8-rows", "Int8Matrix", "int8-rows", "int8-rows"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_forms_with_our_kernels(kernels_folder: Path, kind: str) -> None:
    kernels.activate(kernels_folder)
    try:
        record = KINDS[kind](64, 128, 32)
        stored, _, eight, four = BECOMES[kind]
        for use in (LAYER, HEAD, TABLE):
            assert chosen(record, "stored", use) == stored
            assert chosen(record, "dense", use) == "PlainMatrix float32"
            assert chosen(record, "int8", use) == (stored if use == TABLE else eight)
            # the vocabulary's matrix is not rounded to 4 bits
            expected = {LAYER: four, HEAD: eight, TABLE: stored}[use]
            assert chosen(record, "int4", use) == expected
            assert chosen(record, "dense", use, torch.bfloat16) == "DenseMatrix bfloat16"
    finally:
        kernels.deactivate()


@pytest.mark.parametrize("kind", KINDS)
def test_forms_with_torch(kind: str) -> None:
    record = KINDS[kind](64, 128, 32)
    _, stored, eight, four = BECOMES[kind]
    packed = {"int8-rows": "Int8Matrix", "int4-minima": "Int4Matrix"}
    rounded = {name: stored if kind in PACKED else packed[name] for name in (eight, four)}
    for dtype in (torch.bfloat16, torch.float32):
        name = str(dtype).replace("torch.", "")
        for use in (LAYER, HEAD, TABLE):
            kept = "DenseMatrix bfloat16" if kind in INT4 and use.vocabulary else stored
            as_stored = kept.replace("bfloat16", name)
            assert chosen(record, "stored", use, dtype) == as_stored
            assert chosen(record, "dense", use, dtype) == f"DenseMatrix {name}"
            for asked, became in (("int8", eight), ("int4", eight if use == HEAD else four)):
                changed = use != TABLE and kind not in PACKED
                expected = rounded[became] if changed else as_stored
                assert chosen(record, asked, use, dtype) == expected  # type: ignore[arg-type]


NO_KERNEL: list[Callable[[], Weight]] = [
    lambda: random_weights.int4_points(32, 96, 48),
    lambda: random_weights.int4_eight(32, 2048, 2048),
    lambda: random_weights.int8_groups(32, 512, 256),
    lambda: random_weights.int8_rows(32, 80, 80),
    lambda: Int4(torch.ones(32, 64, dtype=torch.uint8), torch.full((32, 2), 1e-9), 32, 8),
]


@pytest.mark.parametrize("make", NO_KERNEL)
def test_what_no_kernel_takes_is_dense_and_said(
    kernels_folder: Path, make: Callable[[], Weight], caplog: pytest.LogCaptureFixture
) -> None:
    kernels.activate(kernels_folder)
    record = make()
    with caplog.at_level(logging.DEBUG, logger="aira_cli"):
        matrix = choose(record, CPU, Precision(torch.float32, "stored"), LAYER)
    kernels.deactivate()
    assert isinstance(matrix, PlainMatrix)
    assert torch.equal(matrix.weight, record.dense(torch.float32))
    (said,) = caplog.records
    assert said.levelno == logging.DEBUG and str(list(record.shape)) in said.getMessage()


def test_a_width_that_no_register_divides_is_dense(kernels_folder: Path) -> None:
    kernels.activate(kernels_folder)
    try:
        assert chosen(Dense(torch.randn(8, 40).half()), "stored", LAYER) == "DenseMatrix float32"
        assert chosen(Dense(torch.randn(8, 40).half()), "int8", LAYER) == "DenseMatrix float32"
        assert chosen(Dense(torch.randn(8, 48).half()), "int4", LAYER) == "PlainMatrix float32"
    finally:
        kernels.deactivate()
