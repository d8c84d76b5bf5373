"""Our kernels as they are compiled for this machine, and as one with AVX2 alone has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aira_cli.engine.local.native import build, kernels
from aira_cli.engine.local.native.kernels import Kernels

BUILDS = ("machine", "avx2")
_AVX2 = ("-mavx2", "-mfma", "-mf16c")


@contextmanager
def in_use(name: str, folder: Path) -> Iterator[Kernels]:
    """Compiled once in `folder`, and in use by this process inside."""
    with pytest.MonkeyPatch.context() as patch:
        if name == "avx2":
            others = tuple(flag for flag in build._FLAGS if flag != "-march=native")
            assert len(others) < len(build._FLAGS)
            patch.setattr(build, "_FLAGS", _AVX2 + others)
        kernels.activate(folder)
    native = kernels.active()
    assert native is not None
    yield native
    kernels.deactivate()
