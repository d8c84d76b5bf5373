"""Compiles the kernels once for this machine; the library stays in the cache folder.

The file's name holds a digest of the source, the compiler and the processor, so that a change
of any of them compiles anew. No compiler, or one that fails, is no error: torch's own kernels
do the same work, slower. A line under --debug says so.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import torch

_SOURCE = Path(__file__).with_name("kernels.cpp")
_COMPILERS = ("c++", "g++", "clang++")
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-pthread")
_SECONDS = 180

log = logging.getLogger(__name__)


def library(folder: Path) -> Path | None:
    """The compiled library in `folder`, compiled now if it is not there; None if it cannot be."""
    compiler = _compiler() if _suits() else None
    if compiler is None:
        return None
    path = folder / f"kernels-{_digest(compiler)}.so"
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _compile(compiler, path)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        log.debug("kernels not compiled, torch's are used: %s", reason)
        return None


def obstacle() -> Literal["machine", "compiler", "failure"]:
    """Why `library` gives None: the machine, no compiler, or one that fails."""
    if not _suits():
        return "machine"
    return "compiler" if _compiler() is None else "failure"


def _suits() -> bool:
    """Whether the kernels' instructions are there: x86-64 with AVX2 under Linux."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    return torch.backends.cpu.get_cpu_capability().startswith("AVX")


def _compiler() -> str | None:
    named = os.environ.get("CXX")
    found = (shutil.which(name) for name in ([named] if named else _COMPILERS))
    return next((path for path in found if path), None)


def _digest(compiler: str) -> str:
    digest = hashlib.sha256(repr((compiler, _FLAGS, Path(compiler).stat().st_mtime_ns)).encode())
    for file in [*sorted(_SOURCE.parent.glob("*.h")), _SOURCE]:
        digest.update(file.read_bytes())
    digest.update(_processor().encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """The instruction sets: a home folder may be shared by machines of several kinds."""
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    return next((line for line in lines if line.startswith("flags")), "")


def _compile(compiler: str, path: Path) -> Path:
    """Into a temporary folder, then renamed: whoever finds `path` finds a whole library."""
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        built = Path(work, "kernels.so")
        _run([compiler, *_FLAGS, str(_SOURCE), "-o", str(built)])
        built.replace(path)
    return path


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
