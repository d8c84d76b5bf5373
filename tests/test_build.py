"""How the kernels are compiled: with no compiler, with bad ones, by several processes at once."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aira_cli.engine.local.native import build, kernels
from tests.conftest import Program
from tests.run_inside import Person
from tests.tiny_checkpoints import save_tiny

#: Stands for a compiler that someone named: writes down each call, and hurries.
QUICK = """#!/bin/sh
echo call >> {log}
for word; do
  [ "$word" = -O3 ] && word=-O0
  set -- "$@" "$word"
  shift
done
exec {compiler} "$@"
"""

GARBAGE = "for last; do :; done; echo garbage > $last"

COMPUTE = """
import sys, torch
from pathlib import Path
from aira_cli.engine.local.native import kernels
kernels.activate(Path(sys.argv[1]))
native = kernels.active()
x = torch.randn(3, 64)
norm = native.rms_norm(x, torch.ones(64), 1e-5)
assert torch.allclose(norm, torch.rms_norm(x, (64,), eps=1e-5), atol=1e-5)
"""


@pytest.fixture(autouse=True)
def none_in_use(kernels_folder: Path) -> Iterator[None]:
    """No test begins or ends with kernels; all are skipped where there is no compiler."""
    kernels.deactivate()
    yield
    kernels.deactivate()


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def compiler(tmp_path: Path) -> Iterator[Path]:
    """A real compiler under the name CXX that does not optimize; yields where its calls stand."""
    real = next(path for name in ("c++", "g++", "clang++") if (path := shutil.which(name)))
    log = tmp_path / "calls"
    with pytest.MonkeyPatch.context() as patch:
        text = QUICK.format(log=log, compiler=real)
        patch.setenv("CXX", script(tmp_path / "quick-c++", text))
        yield log


def calls(log: Path) -> int:
    return len(log.read_text().splitlines())


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", COMPUTE, str(folder)])


def test_two_processes_compile_at_once(compiler: Path, tmp_path: Path) -> None:
    folder = tmp_path / "native"
    children = [start(folder) for _ in range(2)]
    assert [child.wait(timeout=120) for child in children] == [0, 0]
    assert 1 <= calls(compiler) <= 2
    (library,) = folder.iterdir()  # one whole library, and nothing half-made
    before = calls(compiler)
    kernels.activate(folder)
    assert kernels.active() is not None
    assert calls(compiler) == before
    assert library == build.library(folder)


def test_another_source_or_compiler_is_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time the compiler, here one that writes anything, is called once."""
    log, folder = tmp_path / "calls", tmp_path / "native"
    text = f"#!/bin/sh\necho call >> {log}\n{GARBAGE}\n"
    monkeypatch.setenv("CXX", script(tmp_path / "c++", text))
    first = build.library(folder)
    assert first is not None and build.library(folder) == first and calls(log) == 1
    copied = tmp_path / "source"
    shutil.copytree(build._SOURCE.parent, copied)
    monkeypatch.setattr(build, "_SOURCE", copied / build._SOURCE.name)
    assert build.library(folder) == first
    for number, name in enumerate(("pool.h", "kernels.cpp", "lanes.h")):
        with (copied / name).open("a") as source:
            source.write("// changed\n")
        assert build.library(folder) != first and calls(log) == 2 + number
    os.utime(os.environ["CXX"], (1, 1))  # as after an update
    assert build.library(folder) != first and calls(log) == 5
    assert len(set(folder.iterdir())) == 5


BAD = {
    "fails": "echo no such flag >&2; exit 1",
    "writes nothing": "exit 0",
    "writes garbage": GARBAGE,
    "dies": "kill -9 $$",
}


@pytest.mark.parametrize("what", BAD)
def test_a_compiler_that_does_not_do_it(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", script(tmp_path / "c++", f"#!/bin/sh\n{BAD[what]}\n"))
    with caplog.at_level(logging.DEBUG, logger="aira_cli"):
        kernels.activate(tmp_path / "native")
    assert kernels.active() is None
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    if what == "fails":
        assert "no such flag" in record.getMessage()


@pytest.mark.parametrize("named", ["missing-c++", None])
def test_no_compiler(named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    if named:
        monkeypatch.setenv("CXX", named)
    kernels.activate(tmp_path / "native")
    assert kernels.active() is None


def test_a_folder_that_cannot_be_made(tmp_path: Path, compiler: Path) -> None:
    (tmp_path / "file").write_text("")
    kernels.activate(tmp_path / "file" / "native")
    assert kernels.active() is None


# the program


@pytest.fixture
def ask(tmp_path: Path) -> list[str]:
    """A question to a tiny model."""
    save_tiny(tmp_path / "tiny")
    return ["ask", "olá", "-m", str(tmp_path / "tiny"), "--max-new-tokens", "4", "--seed", "1"]


def test_the_program_answers_without_a_compiler(
    ask: list[str], program: Program, tmp_path: Path
) -> None:
    cache = str(tmp_path / "cache")
    ran = program(*ask, XDG_CACHE_HOME=cache, PATH="", CXX="missing-c++")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Resposta 1" in ran.stdout
    assert not list((tmp_path / "cache").rglob("*.so"))


@pytest.mark.parametrize("debug", [True, False])
def test_the_program_answers_with_a_compiler_that_fails(
    ask: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    monkeypatch.setenv("CXX", script(tmp_path / "c++", f"#!/bin/sh\n{BAD['fails']}\n"))
    ran = Person(tmp_path)(*ask, *["--debug"] * debug)
    assert ran.code == 0, ran.err
    assert "Answer 1" in ran.out
    assert ("no such flag" in ran.err) == debug
