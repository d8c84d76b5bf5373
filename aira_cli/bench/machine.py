"""What the figures depend on and no weights are needed for: the processor, versions of packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import aira_cli

_PACKAGES = ("torch", "transformers", "llama-cpp-python")


def cpu_name() -> str:
    """The processor as its maker calls it, as far as the system says."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Of Python, of ours, and of the packages that are installed."""
    found = {"python": platform.python_version(), "aira": aira_cli.__version__}
    for name in _PACKAGES:
        if is_installed(name):
            found[name] = importlib.metadata.version(name)
    return found


def is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
