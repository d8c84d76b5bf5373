"""Prepared copies: read back bit for bit, rebuilt whenever anything about them is wrong."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local import copies, prepared
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.load import load_model
from aira_cli.engine.local.native import kernels
from tests.conftest import FIXTURES
from tests.prepared_models import (
    CPU,
    IDS,
    MODELS,
    Asked,
    blank,
    ended,
    logits,
    save,
    start,
    the_copy,
)


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


@pytest.mark.parametrize("asked", ["int8", "int4"])
@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_second_load_reads_the_copy_alone(
    tmp_path: Path, kept: Path, model_type: str, asked: Asked, tied: bool
) -> None:
    model = save(tmp_path / "model", model_type, tie_word_embeddings=tied)
    expected = logits(model, None, asked)
    assert torch.equal(logits(model, kept, asked), expected)
    copy = the_copy(kept)
    before = copy.read_bytes()
    blank(model)
    assert torch.equal(logits(model, kept, asked), expected)
    assert copy.read_bytes() == before == the_copy(kept).read_bytes()
    assert not torch.equal(logits(model, None, asked), expected)


def test_awq_weights_as_stored(tmp_path: Path, kept: Path) -> None:
    model = tmp_path / "awq"
    shutil.copytree(FIXTURES / "llama-tiny-awq", model)
    expected = logits(model, None, "stored")
    assert torch.equal(logits(model, kept, "stored"), expected)
    blank(model)
    assert torch.equal(logits(model, kept, "stored"), expected)


def test_weights_stay_in_the_mapped_file(model: Path, kept: Path) -> None:
    logits(model, kept)
    copy = the_copy(kept)
    loaded = load_model(
        open_checkpoint(model), CPU, Precision(torch.float32, "int8"), prepared=kept
    )
    assert str(copy) in Path("/proc/self/maps").read_text()
    with torch.inference_mode():
        expected = loaded.prefill(IDS, loaded.new_cache())
        copy.unlink()  # `aira models rm` beside a running chat
        assert torch.equal(loaded.prefill(IDS, loaded.new_cache()), expected)


def test_the_copy_is_a_safetensors_file(model: Path, kept: Path) -> None:
    logits(model, kept)
    tensors = load_file(the_copy(kept))
    assert sum(t.numel() for t in tensors.values() if t.dtype == torch.uint8) > 5 * 64 * 64
    norm = load_file(model / "model.safetensors")["model.norm.weight"]
    assert torch.equal(tensors["parameter.model.norm.weight"], norm)
    with safe_open(the_copy(kept), "pt") as opened:
        assert list(opened.metadata()) == ["aira"]


@pytest.mark.parametrize("asked", ["int8", "int4"])
def test_a_model_with_one_matrix_that_no_kernel_takes(
    tmp_path: Path, kept: Path, asked: Asked
) -> None:
    model = save(tmp_path / "model", intermediate_size=40)
    expected = logits(model, kept, asked)
    assert torch.equal(logits(model, kept, asked), expected)


def test_dense_models_and_torchs_kernels_write_nothing(model: Path, kept: Path) -> None:
    logits(model, kept, "dense")
    logits(model, kept, "stored")
    checkpoint = open_checkpoint(model)
    load_model(checkpoint, CPU, Precision(torch.bfloat16, "int8"), prepared=kept)
    kernels.deactivate()
    logits(model, kept)
    assert not kept.exists()


# what a copy is found by


def test_a_number_format_has_its_own_copy(model: Path, kept: Path) -> None:
    formats: tuple[Asked, ...] = ("int8", "int4")
    expected = {asked: logits(model, None, asked) for asked in formats}
    for _ in range(2):
        for asked, found in expected.items():
            assert torch.equal(logits(model, kept, asked), found)
    assert len(list(kept.iterdir())) == 2


def newer(model: Path) -> None:
    os.utime(model / "model.safetensors", (1, 1))


def other_weights(model: Path) -> None:
    file = model / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-2000] + whole[-1000:] + whole[-2000:-1000])


def other_config(model: Path) -> None:
    config = model / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 0.1'))


@pytest.mark.parametrize("change", [newer, other_weights, other_config])
def test_another_checkpoint_has_its_own_copy(
    model: Path, kept: Path, change: Callable[[Path], None]
) -> None:
    logits(model, kept)
    before = the_copy(kept)
    change(model)
    expected = logits(model, None)
    assert torch.equal(logits(model, kept), expected)
    assert len(set(kept.iterdir()) - {before}) == 1
    assert torch.equal(logits(model, kept), expected)


def test_two_checkpoints_of_one_name(tmp_path: Path, kept: Path) -> None:
    first, second = save(tmp_path / "a" / "model"), save(tmp_path / "b" / "model", rms_norm_eps=1.0)
    expected = [logits(first, None), logits(second, None)]
    for _ in range(2):
        assert [torch.equal(logits(m, kept), e) for m, e in zip((first, second), expected)] == [  # noqa: B905
            True, True,
        ]  # fmt: skip
    assert len(list(kept.iterdir())) == 2


def test_another_layout_has_its_own_copy(
    model: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = logits(model, kept)
    monkeypatch.setattr(copies, "LAYOUT", copies.LAYOUT + 1)
    blank(model)
    assert not torch.equal(logits(model, kept), expected)  # the old one was not read
    assert len(list(kept.iterdir())) == 2


# writing


def killed_while_writing(model: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> int:
    """A load whose disk hangs in the middle of the tensors, or before all is safe on it, dies."""
    calls = 0

    def hang(*_: object) -> None:
        nonlocal calls
        calls += 1
        if at == "end" or calls == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        if at == "end":
            patch.setattr(os, "fsync", hang)
        else:
            bytes_of = prepared._bytes_of

            def slow(tensor: Tensor) -> Tensor:
                if any(kept.glob("*.partial")):
                    hang()
                return bytes_of(tensor)

            patch.setattr(prepared, "_bytes_of", slow)
        return ended(start(lambda: logits(model, kept)))


@pytest.mark.parametrize("at", ["middle", "end"])
def test_a_load_killed_while_it_writes(
    model: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    expected = logits(model, None)
    assert killed_while_writing(model, kept, monkeypatch, at) == -signal.SIGKILL
    left = the_copy(kept)
    assert left.suffix == ".partial"
    assert torch.equal(logits(model, kept), expected)
    assert len(list(kept.iterdir())) == 2 and left.exists()  # it may be another's, being written
    os.utime(left, (time.time() - 3700,) * 2)
    newer(model)
    assert torch.equal(logits(model, kept), expected)
    (copy,) = kept.iterdir()  # nothing half-written, nothing stale
    assert copy.suffix == ".safetensors"


def test_several_processes_at_once(model: Path, kept: Path) -> None:
    """Each finds no copy, someone's whole one, or one that goes away under it."""
    expected = logits(model, None)

    def load() -> None:
        for _ in range(8):
            assert torch.equal(logits(model, kept), expected)
            for copy in kept.glob("*.safetensors"):
                copy.unlink(missing_ok=True)
        assert torch.equal(logits(model, kept), expected)

    children = [start(load) for _ in range(3)]
    assert [ended(child) for child in children] == [0, 0, 0]
    assert [path.suffix for path in kept.iterdir()] in ([".safetensors"], [])
    assert torch.equal(logits(model, kept), expected)
    blank(model)
    assert torch.equal(logits(model, kept), expected)


def test_a_full_disk_is_no_error(model: Path, kept: Path) -> None:
    expected = logits(model, None)

    def load() -> None:
        for limit in (20000, 100, 0):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            assert torch.equal(logits(model, kept), expected)
            assert not list(kept.iterdir())

    assert ended(start(load)) == 0


def test_a_folder_that_cannot_be_written_to(model: Path, kept: Path) -> None:
    expected = logits(model, None)
    kept.write_text("not a folder")
    assert torch.equal(logits(model, kept), expected)
    assert torch.equal(logits(model, kept / "below"), expected)
    kept.unlink()
    kept.mkdir(mode=0o500)

    def load() -> None:
        if os.getuid() == 0:
            os.setuid(65534)
        assert torch.equal(logits(model, kept), expected)
        assert not list(kept.iterdir())

    for folder in (kept.parent, *kept.parents):
        if not folder.stat().st_mode & 0o005 and os.getuid() == 0:
            pytest.skip("pytest's folders are root's alone")
    assert ended(start(load)) == 0
