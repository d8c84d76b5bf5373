"""Our own decoding as a contender, and what torch says about the machine it runs on."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from aira_cli.bench.orders import Describe, Load
from aira_cli.checkpoints.open import Checkpoint, open_checkpoint
from aira_cli.engine.local.decode import Decoding
from aira_cli.engine.local.device import memory_errors, pick_device, pick_precision
from aira_cli.engine.local.load import load_model
from aira_cli.engine.local.models.step import StepModel
from aira_cli.engine.local.native import kernels
from aira_cli.types import Sampling

SEED = 1

#: What the cards' usage code draws with; both contenders that sample use it.
TEMPERATURE, TOP_K, PENALTY = 0.7, 50, 1.2


def describe(order: Describe) -> dict[str, Any]:
    """The device's name, torch's threads and whose kernels compute on a CPU.

    UsageError for a device that is not there.
    """
    device = pick_device(order.device)
    activate(order.kernels)
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else platform.machine()
    return {
        "device": str(device),
        "device_name": name,
        "threads": order.threads or torch.get_num_threads(),
        "kernels": "torch" if kernels.active() is None else "aira",
    }


def activate(folder: str | None) -> None:
    """Our own kernels from now on, if they are wanted and can be had."""
    if folder is not None:
        kernels.activate(Path(folder))


def load_ours(load: Load) -> StepModel:
    """The checkpoint as `aira ask` would load it. Raises what loading raises."""
    torch.set_num_threads(load.threads)
    device = pick_device(load.device)
    activate(load.kernels)
    precision = pick_precision(load.dtype, device)
    prepared = Path(load.prepared) if load.prepared else None
    with memory_errors(device):
        return load_model(checkpoint_of(load), device, precision, prepared=prepared)


def checkpoint_of(load: Load) -> Checkpoint:
    """The checkpoint with its adapter."""
    adapter = Path(load.adapter) if load.adapter else None
    return open_checkpoint(Path(load.checkpoint), adapter)


class Ours:
    """See `timing.Contender`."""

    def __init__(self, load: Load) -> None:
        self._model = load_ours(load)

    def prefill(self, ids: Sequence[int]) -> None:
        logits = self._decoding(ids, 1).prefill()
        float(logits[0, 0])  # waits for an accelerator

    def decode(self, ids: Sequence[int], rows: int, new_tokens: int) -> list[float]:
        decoding = self._decoding(ids, rows)
        steps = decoding.steps(decoding.prefill())
        return [time.perf_counter() for _ in islice(steps, new_tokens)]

    def device_memory(self) -> int:
        return device_memory(self._model.device)

    def _decoding(self, ids: Sequence[int], rows: int) -> Decoding:
        sampling = Sampling(
            samples=rows, temperature=TEMPERATURE, top_k=TOP_K, repetition_penalty=PENALTY
        )
        return Decoding(self._model, self._model.new_cache(), ids, sampling, SEED)


def device_memory(device: torch.device) -> int:
    """torch's own peak on `device`, in bytes; 0 where it keeps no count."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
