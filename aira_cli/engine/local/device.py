"""Which device and number type a model runs in, and what a lack of memory is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from aira_cli.engine.local.native import kernels
from aira_cli.errors import AiraError, UsageError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ROUNDED = ("int8", "int4")


def pick_device(asked: str | None) -> torch.device:
    """The device asked for ("cpu", "cuda", "cuda:1", "mps"), else CUDA, else MPS, else the CPU."""
    if asked is None:
        return torch.device(available_devices()[0])
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise UsageError("device_unknown", device=asked) from error
    if not _is_there(device):
        raise UsageError("device_missing", device=asked, known=", ".join(available_devices()))
    return device


def available_devices() -> list[str]:
    """Device types that are there, best first."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [name for name, available in there.items() if available] + ["cpu"]


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type in available_devices() and not device.index


@dataclass(frozen=True)
class Precision:
    """The type that is computed in, and how the weights of matrix products are kept.

    "stored": as the checkpoint has them, where the device has a kernel for it; "dense": all in
    the type that is computed in; "int8" and "int4": rounded to that where they have more bits.
    """

    dtype: torch.dtype
    weights: Literal["stored", "dense", "int8", "int4"]


def pick_precision(asked: str | None, device: torch.device) -> Precision:
    """What was asked for, else what is fast on `device`. UsageError for other words.

    Our own kernels, where they are in use, compute in float32.
    """
    if asked in DTYPES:
        return Precision(DTYPES[asked], "dense")
    native = device.type == "cpu" and kernels.active() is not None
    dtype = torch.float32 if native else fast_dtype(device)
    if asked is None:
        return Precision(dtype, "stored")
    if asked == "int8":
        return Precision(dtype, "int8")
    if asked == "int4":
        return Precision(dtype, "int4")
    raise UsageError("dtype_unknown", dtype=asked, known=", ".join([*DTYPES, *ROUNDED]))


def fast_dtype(device: torch.device) -> torch.dtype:
    """The type with the fastest products on `device`.

    A CPU without bfloat16 instructions computes in bfloat16 slower than in float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "mps":
        return torch.float16
    return torch.bfloat16 if cpu_has_bfloat16() else torch.float32


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies matrices in bfloat16 itself (AVX-512 BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def memory_errors(device: torch.device) -> Iterator[None]:
    """Turns torch's out-of-memory errors, on any device, into one of ours."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise AiraError("out_of_memory", device=device) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "out of memory" not in str(error):
            raise
        raise AiraError("out_of_memory", device=device) from error
