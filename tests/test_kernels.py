"""Our compiled kernels against float64: built for this machine, and for AVX2 alone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from aira_cli.checkpoints.weights import Dense, Int4, Int8, Weight
from aira_cli.engine.local.linear import add_product, project
from aira_cli.engine.local.matrix import PackedMatrix
from aira_cli.engine.local.native.kernels import Kernels
from tests.kernel_builds import BUILDS, in_use
from tests.random_weights import KINDS, PACKED, int4_points, int8_groups, native_layer
from tests.random_weights import native_matrix as matrix_of

ROWS = (1, 2, 3, 4, 5, 7, 8, 9, 17, 70)
RANGE = {2: 32512, 1: 127}  # the integer that a group's largest input becomes, by planes


@pytest.fixture(scope="module", params=BUILDS)
def native(request: pytest.FixtureRequest, kernels_folder: Path) -> Iterator[Kernels]:
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


def exact(record: Weight, x: Tensor) -> Tensor:
    """x times the dequantized weight, in float64."""
    return x.double() @ record.dense(torch.float32).double().T


def allowed(record: Weight, x: Tensor, planes: int) -> Tensor:
    """How far a product may be off: half a step of each input's fixed point, and float32's sums.

    A packed weight's inputs have one step a group; a plain weight's have none.
    """
    w = record.dense(torch.float32).double().abs()
    summed = (x.double().abs().sum(1, keepdim=True) * w.max()) * 2e-6
    if isinstance(record, Dense):
        return summed
    packed = matrix_of(record)
    assert isinstance(packed, PackedMatrix)
    groups = x.double().view(len(x), -1, packed.group)
    step = groups.abs().amax(2) / RANGE[planes]  # rows groups
    return step / 2 @ w.view(len(w), -1, packed.group).sum(2).T * 1.001 + summed


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


SHAPES = [(33, 32, 32), (70, 256, 64), (100, 1024, 128), (8, 192, 32), (257, 64, 64)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products(native: Kernels, kind: str, shape: tuple[int, int, int]) -> None:
    outputs, inputs, _ = shape
    record, bias = KINDS[kind](*shape), torch.randn(outputs)
    layer = native_layer(record, bias)
    for rows in ROWS:
        x, y = torch.randn(rows, inputs), torch.randn(rows, outputs)
        expected = exact(record, x) + bias.double()
        found = project(x, layer)
        assert found.shape == (rows, outputs)
        assert ((found - expected).abs() <= allowed(record, x, 2)).all()
        assert relative(found, expected) <= 1e-4
        added = add_product(y.clone(), layer, x)
        assert ((added - expected - y).abs() <= allowed(record, x, 2)).all()
        with native.coarse():
            rough = project(x, layer)
        assert ((rough - expected).abs() <= allowed(record, x, 1)).all()
        if rough.numel() > 500:  # of a few outputs one may be nearly zero
            assert relative(rough, expected) <= 0.01
        assert torch.equal(rough, found) == isinstance(record, Dense)


@pytest.mark.parametrize("inputs", [32, 128, 256, 512, 1024])
@pytest.mark.parametrize("kind", ["int4-points", "int4-eight", "int4-minima", "int8-rows"])
def test_a_group_may_be_the_whole_input(native: Kernels, kind: str, inputs: int) -> None:
    record, x = PACKED[kind](50, inputs, inputs), torch.randn(5, inputs)
    found, expected = project(x, native_layer(record)), exact(record, x)
    assert ((found - expected).abs() <= allowed(record, x, 2)).all()
    assert relative(found, expected) <= 1e-4


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    outputs=st.integers(1, 130),
    group=st.sampled_from([32, 64, 96, 128]),
    groups=st.integers(1, 9),
    rows=st.integers(1, 40),
    planes=st.sampled_from([1, 2]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_any_shape(
    native: Kernels, kind: str, outputs: int, group: int, groups: int, rows: int,
    planes: int, threads: int, seed: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    record = KINDS[kind](outputs, group * groups, group)
    spread = 10.0 ** torch.empty(group * groups).uniform_(-3, 3)
    x = torch.randn(rows, group * groups) * spread
    layer = native_layer(record)
    if planes == 1:
        with native.coarse():
            found = project(x, layer)
    else:
        found = project(x, layer)
    assert ((found - exact(record, x)).abs() <= allowed(record, x, planes)).all()


def test_products_side_by_side(native: Kernels) -> None:
    """Of one input, in any mixture, with and without biases; groups of two sizes as well."""
    widths = (40, 64, 7)
    for kinds in (
        ("int4-points",) * 3,
        ("int8-groups", "int4-minima", "int4-eight"),
        ("float16", "int4-points", "bfloat16"),
        ("float32", "float16", "float32"),
    ):
        for groups in ((64, 64, 64), (64, 32, 64)):
            made = zip(kinds, widths, groups, strict=True)
            records = [KINDS[kind](width, 192, group) for kind, width, group in made]
            bias = torch.randn(64)
            layers = [native_layer(r, bias if r.shape[0] == 64 else None) for r in records]
            for rows in (1, 4, 11):
                x = torch.randn(rows, 192)
                expected = torch.cat([exact(record, x) for record in records], dim=1)
                expected[:, 40:104] += bias
                assert relative(project(x, *layers), expected) <= 1e-4
                assert project(x[None], *layers).shape == (1, rows, 111)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_what_it_is_alone(native: Kernels, kind: str) -> None:
    """Bit for bit, whatever rows are beside it and however many threads compute."""
    layer = native_layer(KINDS[kind](300, 256, 64), torch.randn(300))
    beside = native_layer(KINDS["int4-points"](45, 256, 64))
    x, y = torch.randn(70, 256), torch.randn(70, 300)
    torch.set_num_threads(1)
    alone = torch.cat([project(row[None], layer) for row in x])
    added = torch.cat([add_product(to[None].clone(), layer, row[None]) for row, to in zip(x, y)])  # noqa: B905
    with native.coarse():
        rough = torch.cat([project(row[None], layer) for row in x])
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        for rows in ROWS:
            some = slice(70 - rows, 70)
            assert torch.equal(project(x[some], layer), alone[some])
            assert torch.equal(project(x[some], layer, beside)[:, :300], alone[some])
            assert torch.equal(add_product(y[some].clone(), layer, x[some]), added[some])
            with native.coarse():
                assert torch.equal(project(x[some], layer), rough[some])


# extremes


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_any_size(native: Kernels, kind: str) -> None:
    record = KINDS[kind](40, 256, 64)
    layer = native_layer(record)
    outlier = torch.randn(3, 256)
    outlier[:, 70] = 30000.0
    for x in (
        torch.zeros(3, 256), outlier, torch.randn(3, 256) * 1e-20, torch.randn(3, 256) * 1e30,
        torch.full((3, 256), 65504.0), torch.randn(3, 256) * 1e-42,
    ):  # fmt: skip
        floor = 1e-27  # inputs below 1e-30 count as zero
        assert ((project(x, layer) - exact(record, x)).abs() <= allowed(record, x, 2) + floor).all()
    assert not project(torch.zeros(3, 256), layer).any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_number_spoils_its_own_row_only(native: Kernels, kind: str) -> None:
    layer = native_layer(KINDS[kind](40, 256, 64))
    x = torch.randn(9, 256)
    before = project(x, layer)
    x[2, 5], x[4, 100], x[6, 3:9] = torch.nan, torch.inf, -torch.inf
    after = project(x, layer)
    clean = [0, 1, 3, 5, 7, 8]
    assert torch.equal(after[clean], before[clean])


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sums_fit_their_integers(native: Kernels, sign: int) -> None:
    """All weights and inputs as large as they get, over many inputs."""
    ends: list[Weight] = []
    for group in (128, 512, 1024):
        scale = torch.full((33, 8192 // group), 65504.0 if group == 512 else 0.5).half()
        for q, point in ((15, 0), (0, 15)):
            points = torch.full(scale.shape, point, dtype=torch.uint8)
            full = torch.full((33, 8192), q, dtype=torch.uint8)
            ends += [Int4(full, scale, group, points), Int4(full, scale, group, 8)]
            ends.append(Int4(full, scale, group, minima=-scale))
    for q in (-128, 127):
        full = torch.full((33, 8192), q, dtype=torch.int8)
        ends.append(Int8(full, torch.ones(33, 64).half(), 128))
        ends.append(Int8(full, torch.ones(33, 1), 8192))
    for record in ends:
        for rows in (1, 6):
            x = torch.full((rows, 8192), sign * 3.0)
            found, expected = project(x, native_layer(record)), exact(record, x)
            assert relative(found, expected) <= 1e-5
            with native.coarse():
                assert relative(project(x, native_layer(record)), expected) <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_the_dense_weight(kind: str) -> None:
    record = KINDS[kind](77, 128, 32)
    matrix, dense = matrix_of(record), record.dense(torch.float32)
    for ids in (
        torch.tensor(5), torch.tensor([[0], [76]]), torch.randint(0, 77, (2, 3, 4)),
        torch.arange(77),
    ):  # fmt: skip
        found = matrix.rows(ids, torch.float32)
        assert torch.equal(found, dense[ids])
        assert torch.equal(matrix.rows(ids, torch.bfloat16), dense[ids].bfloat16())


# the pool


def test_several_callers_at_once(native: Kernels) -> None:
    """Of two kinds and with more threads than cores; each gets its own results."""
    wrong: list[int] = []
    layers = [native_layer(int4_points(300, 256, 64)), native_layer(int8_groups(300, 256, 64))]
    inputs = [torch.randn(n + 1, 256) for n in range(6)]
    expected = [project(x, layers[n % 2]) for n, x in enumerate(inputs)]

    def call(n: int) -> None:
        torch.set_num_threads(1 + n % 4)
        with torch.inference_mode():
            for _ in range(200):
                if not torch.equal(project(inputs[n], layers[n % 2]), expected[n]):
                    wrong.append(n)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def forked(threads: int) -> int:
    """What a child made after use ends with: 0 if it computed the same with so many threads."""
    torch.set_num_threads(2)
    layer, x = native_layer(int4_points(300, 256, 64)), torch.randn(3, 256)
    expected = project(x, layer)
    threading.Event().wait(0.1)  # the workers fall asleep
    child = os.fork()
    if child == 0:
        signal.alarm(4)
        torch.set_num_threads(threads)
        right = True
        for _ in range(10):
            right &= torch.equal(project(x, layer), expected)
            threading.Event().wait(0.01)
        os._exit(0 if right else 1)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_computes_without_the_workers(native: Kernels, threads: int) -> None:
    assert forked(threads) == 0


def test_a_child_with_more_threads_than_its_parent(native: Kernels) -> None:
    assert forked(9) == 0
