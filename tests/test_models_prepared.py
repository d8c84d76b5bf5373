"""Prepared copies under `aira models` and `aira doctor`: listed, shown, stale, removed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.device import pick_precision
from aira_cli.engine.local.load import load_model
from aira_cli.engine.local.native import kernels
from tests import tiny_tokenizers
from tests.conftest import FIXTURES, NO_HUB, Program
from tests.hub_server import HubServer
from tests.run_inside import Person
from tests.tiny_checkpoints import save_tiny

CPU = torch.device("cpu")


@pytest.fixture
def home(tmp_path: Path, kernels_folder: Path) -> Path:
    """A home folder of its own, with two tiny models that have profiles."""
    cache = tmp_path / ".cache" / "aira"
    cache.mkdir(parents=True)
    kernels_folder.mkdir(parents=True, exist_ok=True)
    (cache / "native").symlink_to(kernels_folder)  # compiled once for all tests
    write_awq(tmp_path / "awq")
    save_tiny(tmp_path / "plain")
    profiles = tmp_path / ".config" / "aira" / "profiles"
    profiles.mkdir(parents=True)
    for name in ("awq", "plain"):
        (profiles / f"my-{name}.yaml").write_text(f"source: {{path: {tmp_path / name}}}\n")
    return tmp_path


@pytest.fixture
def aira(program: Program, home: Path) -> Program:
    """The program with that home and its cache, in English."""
    ours = {"XDG_CACHE_HOME": str(home / ".cache"), "AIRA_LANG": "en"}
    return replace(program, variables={**program.variables, **ours})


@pytest.fixture
def native(kernels_folder: Path) -> Iterator[None]:
    kernels.activate(kernels_folder)
    yield
    kernels.deactivate()


def write_awq(folder: Path) -> None:
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(FIXTURES / "llama-tiny-awq" / name, folder)
    tiny_tokenizers.save(tiny_tokenizers.sentencepiece(), folder)


def prepare(home: Path, name: str, dtype: str | None = None) -> Path:
    """Loads a model as the program would; the copy that this left."""
    before = set(copies(home))
    folder = home / ".cache" / "aira" / "prepared"
    load_model(open_checkpoint(home / name), CPU, pick_precision(dtype, CPU), prepared=folder)
    (path,) = set(copies(home)) - before
    return path


def copies(home: Path) -> list[Path]:
    return sorted((home / ".cache" / "aira" / "prepared").glob("*"))


def said_size(*paths: Path) -> str:
    nbytes = sum(path.stat().st_size for path in paths)
    return f"{nbytes / 1e6:.3g} MB" if nbytes >= 1e6 else f"{nbytes / 1e3:.3g} kB"


def listed(aira: Program) -> tuple[dict[str, str], str]:
    """The column of prepared copies by model, and what `aira models list` says on stderr."""
    ran = aira("models", "list")
    assert ran.returncode == 0, ran.stderr
    heads, *rows = (line.split("\t") for line in ran.stdout.splitlines())
    at = heads.index("Prepared copy")
    return {row[0]: row[at] for row in rows}, ran.stderr


def test_an_answer_leaves_a_copy_that_all_commands_know(aira: Program, home: Path) -> None:
    ran = aira("ask", "olá", "-m", "my-awq", "--raw", "--max-new-tokens", "2")
    assert ran.returncode == 0, ran.stderr
    found = copies(home)
    assert {copy.suffix for copy in found} == {".safetensors", ".tokenizer"}
    column, said = listed(aira)
    assert said == ""
    assert column["my-awq"] == said_size(*found)
    assert not any(size for name, size in column.items() if name != "my-awq")
    facts = aira("models", "show", "my-awq").stdout
    assert all(f"{copy} ({said_size(copy)})\n" in facts for copy in found)
    assert "our own (llama)" in facts
    assert "prepared" not in aira("models", "show", "my-plain").stdout
    (line,) = (row for row in aira("doctor").stdout.splitlines() if row.startswith("prepared"))
    assert line.split(maxsplit=2)[2] == f"2 ({said_size(*found)})"


@pytest.mark.usefixtures("native")
def test_rm_prepared_removes_one_model_s_copies_or_all(aira: Program, home: Path) -> None:
    stored, rounded = prepare(home, "awq"), prepare(home, "awq", "int8")
    other = prepare(home, "plain", "int8")
    ran = aira("models", "rm", "--prepared", "my-awq")
    assert ran.returncode == 0 and "removed: 2 (" in ran.stdout
    assert not stored.exists() and not rounded.exists() and other.exists()
    assert (home / "awq" / "model.safetensors").exists()
    assert "no prepared copies" in aira("models", "rm", "my-awq", "--prepared").stdout
    size = said_size(other)
    assert aira("models", "rm", "--prepared").stdout == f"Prepared copies removed: 1 ({size}).\n"
    assert copies(home) == []


@pytest.mark.usefixtures("native")
def test_a_copy_whose_checkpoint_changed_or_went_is_stale(aira: Program, home: Path) -> None:
    changed, gone = prepare(home, "awq"), prepare(home, "plain", "int8")
    config = home / "awq" / "config.json"
    config.write_text(config.read_text() + "\n")
    shutil.rmtree(home / "plain")
    column, said = listed(aira)
    assert column["my-awq"] == "" == column["my-plain"]
    *lines, hint = said.splitlines()
    assert len(lines) == 2 and all("stale" in line for line in lines)
    assert {str(changed), str(gone)} == {line.split()[2] for line in lines}
    assert "aira models rm --prepared" in hint
    assert "stale" in aira("models", "show", "my-awq").stdout  # its files lie there still
    fresh = prepare(home, "awq")
    assert listed(aira)[0]["my-awq"] == said_size(fresh)
    aira("models", "rm", "--prepared")
    assert copies(home) == [] and listed(aira)[1] == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"\x05\0\0\0\0\0\0\0nope!", b"\xff" * 8 + b"{}", b"\x02\0\0\0\0\0\0\0{}",
     b"\x02\0\0\0\0\0\0\0[]"],
)  # fmt: skip
@pytest.mark.usefixtures("native")
def test_a_damaged_copy_is_stale(aira: Program, home: Path, content: bytes) -> None:
    prepare(home, "awq").write_bytes(content)
    column, said = listed(aira)
    assert column["my-awq"] == "" and "stale" in said
    assert "removed: 1 (" in aira("models", "rm", "--prepared").stdout and copies(home) == []


def test_rm_removes_a_hub_model_with_its_copies(aira: Program, home: Path) -> None:
    """The hub's cache keeps files under other names than the folder that is opened."""
    files = {path.name: path.read_bytes() for path in (home / "awq").iterdir()}
    with HubServer({"org/tiny": files}) as hub:
        ask = ("ask", "olá", "-m", "org/tiny", "--raw", "--max-new-tokens", "2")
        ran = aira(*ask, HF_ENDPOINT=hub.endpoint)
        assert ran.returncode == 0, ran.stderr
    shown = aira("models", "show", "org/tiny").stdout
    assert len(copies(home)) == 2 and all(str(copy) in shown for copy in copies(home))
    ran = aira("models", "rm", "org/tiny")
    assert ran.returncode == 0 and "org/tiny was removed" in ran.stdout
    assert "copies removed: 2" in ran.stdout and copies(home) == []
    assert "was not on this machine" in aira("models", "rm", "org/tiny").stdout


def test_rm_needs_a_name_or_the_flag(aira: Program) -> None:
    ran = aira("models", "rm")
    assert (ran.returncode, ran.stdout) == (2, "") and "NAME" in ran.stderr


@pytest.mark.usefixtures("native")
def test_listing_copies_imports_no_torch(aira: Program, home: Path) -> None:
    copy = prepare(home, "awq")
    script = (
        "import sys; from aira_cli.cli.boundary import run; run(['models', 'list']);"
        "print([m for m in ('torch', 'transformers') if m in sys.modules], file=sys.stderr)"
    )
    ran = replace(aira, command=sys.executable)("-c", script)
    assert said_size(copy) in ran.stdout and ran.stderr == "[]\n"


# kernels


def kernels_line(said: str) -> str:
    (line,) = (row for row in said.splitlines() if row.startswith("CPU kernels"))
    return line.removeprefix("CPU kernels").strip()


def test_doctor_says_that_our_kernels_compute(aira: Program) -> None:
    line = kernels_line(aira("doctor").stdout)
    assert line.startswith("our own") and Path(line.partition("(")[2].rstrip(")")).is_file()


def test_doctor_says_why_torch_s_kernels_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", NO_HUB)
    person = Person(tmp_path)
    unwanted = person("doctor", AIRA_KERNELS="torch").out
    assert kernels_line(unwanted) == "torch's (AIRA_KERNELS=torch)"
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "needs a C++ compiler" in kernels_line(person("doctor").out)
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CXX", str(failing))
    assert "cannot compile" in kernels_line(person("doctor").out)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "x86-64" in kernels_line(person("doctor").out)
