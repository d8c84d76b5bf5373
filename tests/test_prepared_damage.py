"""Prepared copies that were damaged: the next load answers right and rebuilds them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aira_cli.engine.local.native import kernels
from tests.prepared_models import ended, logits, save, start, the_copy


@pytest.fixture(autouse=True)
def native(kernels_folder: Path) -> Iterator[None]:
    kernels.activate(kernels_folder)
    assert kernels.active() is not None
    yield
    kernels.deactivate()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path / "model")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of copies."""
    return tmp_path / "prepared"


def assert_rebuilt(model: Path, kept: Path, whole: bytes, expected: Tensor) -> None:
    """The next load answers right and leaves the copy as it was. Reading must not crash."""

    def load() -> None:
        assert torch.equal(logits(model, kept), expected), "other logits"

    assert ended(start(load)) == 0
    assert the_copy(kept).read_bytes() == whole


@pytest.fixture
def copied(model: Path, kept: Path) -> tuple[Path, bytes, Tensor]:
    """A good copy, its bytes, and the logits that it gives."""
    expected = logits(model, kept)
    copy = the_copy(kept)
    return copy, copy.read_bytes(), expected


def header_size(whole: bytes) -> int:
    return 8 + int(struct.unpack("<Q", whole[:8])[0])


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100])
def test_a_copy_that_ends_in_its_first_bytes(
    model: Path, kept: Path, copied: tuple[Path, bytes, Tensor], length: int
) -> None:
    copy, whole, expected = copied
    copy.write_bytes(whole[:length])
    assert_rebuilt(model, kept, whole, expected)


def test_a_copy_that_ends_anywhere(
    model: Path, kept: Path, copied: tuple[Path, bytes, Tensor]
) -> None:
    copy, whole, expected = copied
    start = header_size(whole)
    for length in (start - 1, start, start + 1, len(whole) // 2, len(whole) - 64, len(whole) - 1):
        copy.write_bytes(whole[:length])
        assert_rebuilt(model, kept, whole, expected)


def flipped(whole: bytes, at: int, bit: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]


def test_a_bit_of_the_weights(model: Path, kept: Path, copied: tuple[Path, bytes, Tensor]) -> None:
    copy, whole, expected = copied
    chance = random.Random(1)
    for _ in range(30):
        at = chance.randrange(header_size(whole), len(whole))
        copy.write_bytes(flipped(whole, at, chance.randrange(8)))
        assert torch.equal(logits(model, kept), expected)
        assert copy.read_bytes() == whole


def test_a_bit_of_the_header(model: Path, kept: Path, copied: tuple[Path, bytes, Tensor]) -> None:
    copy, whole, expected = copied
    chance = random.Random(1)
    for _ in range(60):
        at = chance.randrange(header_size(whole))
        copy.write_bytes(flipped(whole, at, chance.randrange(8)))
        assert_rebuilt(model, kept, whole, expected)


def deep(whole: bytes) -> bytes:
    return struct.pack("<Q", 50000) + b"[" * 50000


def of_another_checkpoint(whole: bytes) -> bytes:
    return whole.replace(b"model.safetensors", b"other.safetensors")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "ones": lambda whole: b"\xff" * len(whole),
    "zeros": lambda whole: bytes(len(whole)),
    "zeros for weights": lambda whole: whole[: header_size(whole)] + bytes(len(whole) - 5000),
    "noise": lambda whole: random.Random(1).randbytes(len(whole)),
    "null": lambda whole: struct.pack("<Q", 4) + b"null" + bytes(64),
    "empty object": lambda whole: struct.pack("<Q", 2) + b"{}" + bytes(64),
    "a page missing": lambda whole: whole[:8192] + bytes(4096) + whole[12288:],
    "deep": deep,
    "of another checkpoint": of_another_checkpoint,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_anything_else_in_its_place(
    model: Path, kept: Path, copied: tuple[Path, bytes, Tensor], damage: str
) -> None:
    copy, whole, expected = copied
    copy.write_bytes(DAMAGE[damage](whole))
    assert copy.read_bytes() != whole
    assert_rebuilt(model, kept, whole, expected)


def test_a_folder_or_a_dead_link_in_its_place(
    model: Path, kept: Path, copied: tuple[Path, bytes, Tensor]
) -> None:
    copy, whole, expected = copied
    copy.unlink()
    copy.mkdir()
    assert torch.equal(logits(model, kept), expected)
    assert the_copy(kept) == copy and not list(copy.iterdir())
    copy.rmdir()
    copy.symlink_to(kept / "nowhere")
    assert_rebuilt(model, kept, whole, expected)
    assert not copy.is_symlink()
