"""Local folders and files, and the promises that hold for every kind of source."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aira_cli.errors import AiraError, ModelUnavailable, UsageError
from aira_cli.sources import resolve as sources
from aira_cli.sources.disk import disk_errors, require_room, size_on_disk
from aira_cli.sources.progress import Tally
from aira_cli.types import LocalSource


def locate(path: object, tmp_path: Path) -> Path:
    source = LocalSource(str(path))
    return sources.resolve(source, cache_dir=tmp_path, offline=True, progress=lambda *_: None)


def test_a_folder_and_a_gguf_are_found(tmp_path: Path) -> None:
    file = tmp_path / "Model.GGUF"
    file.write_bytes(b"x")
    assert locate(tmp_path, tmp_path) == tmp_path
    assert locate(file, tmp_path) == file
    assert sources.find_cached(LocalSource(str(file)), cache_dir=tmp_path) == file


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "m").mkdir()
    assert locate("~/m", tmp_path) == tmp_path / "m"


@pytest.mark.parametrize(
    ("path", "kind", "key"),
    [
        ("not/there", ModelUnavailable, "local_missing"),
        ("x\0y", ModelUnavailable, "local_missing"),
        ("a" * 5000, ModelUnavailable, "local_unreadable"),
        ("~nobody-of-this-name/m", ModelUnavailable, "local_unreadable"),
        (__file__, UsageError, "local_not_gguf"),
    ],
)
def test_what_is_no_model_is_named(
    path: str, kind: type[AiraError], key: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=key) as raised:
        locate(path, tmp_path)
    assert str(raised.value.fields["path"]) == path
    assert sources.find_cached(LocalSource(path), cache_dir=tmp_path) is None


def test_a_persons_own_folder_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    source = LocalSource(str(tmp_path))
    with pytest.raises(UsageError, match="local_remove"):
        sources.remove(source, cache_dir=tmp_path)
    assert (tmp_path / "config.json").exists()
    assert sources.cached_size(source, cache_dir=tmp_path) == 0
    assert sources.reachable(source) is None


def test_a_full_disk_is_told_before_and_during_writing(tmp_path: Path) -> None:
    with pytest.raises(AiraError, match="disk_full"):
        require_room(tmp_path / "not" / "yet", 1 << 62)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is always full")
    with pytest.raises(AiraError, match="disk_full") as raised, disk_errors(tmp_path):
        full.write_bytes(b"x")
    assert raised.value.exit_code == 1
    assert raised.value.fields == {"folder": tmp_path}


def test_other_disk_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised, disk_errors(tmp_path):
        (tmp_path / "none").read_bytes()
    assert raised.value.errno == errno.ENOENT


def test_size_counts_linked_files_once(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("blob")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert size_on_disk(tmp_path) == 5


def test_a_tally_never_shrinks_or_passes_its_total() -> None:
    seen: list[tuple[str, int, int | None]] = []
    tally = Tally(lambda *step: seen.append(step), "m", 10)
    for count in (4, -4, 3, 3, 9, 2):
        tally.add(count)
    tally.settle(10)
    assert seen == [("m", 4, 10), ("m", 6, 10), ("m", 10, 10)]


def test_sources_import_neither_torch_nor_the_hub_client() -> None:
    code = "import sys, aira_cli.sources.resolve; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "aira_cli.sources.wheel" in loaded
    assert not {"torch", "transformers", "huggingface_hub", "httpx", "httpx2"} & loaded
