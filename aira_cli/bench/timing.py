"""Times a contender inside the measuring process: loading, prefill, steps, peak memory.

A figure of one process is the median of its own repetitions, after a warm-up that is not
counted. Which contender computes how is left to `ours`, `cards` and `llamacpp`.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from aira_cli.bench.orders import AIRA, TRANSFORMERS, FirstToken, Load, Measure

_PREFILLS = 3
_LONGEST_WARM_UP = 8  # steps


class Contender(Protocol):
    """Somebody's decoder with its weights loaded."""

    def prefill(self, ids: Sequence[int]) -> None:
        """Runs `ids` from an empty cache; returns when the last position's logits are there."""
        ...

    def decode(self, ids: Sequence[int], rows: int, new_tokens: int) -> list[float]:
        """Draws `new_tokens` tokens for each of `rows` equal prompts; the clock after each."""
        ...

    def device_memory(self) -> int:
        """The most bytes of accelerator memory held so far; 0 on a CPU."""
        ...


def measure(order: Measure) -> dict[str, float]:
    """The figures of one process, by their names in the report."""
    load = contender_class(order.load.contender)
    began = time.perf_counter()
    contender = load(order.load)
    figures = {"load_seconds": time.perf_counter() - began}
    if order.prefill_ids:
        seconds = prefill_seconds(contender, order.prefill_ids)
        figures["prefill_tokens_per_second"] = len(order.prefill_ids) / seconds
    for rows in order.samples:
        stamps = contender.decode(order.prompt_ids, rows, order.new_tokens)
        figures[f"decode_{rows}_tokens_per_second"] = rows / step_seconds(stamps)
    figures["memory_bytes"] = peak_memory()
    if held := contender.device_memory():
        figures["device_memory_bytes"] = held
    return figures


def first_token(order: FirstToken) -> dict[str, float]:
    """Says on stdout, with an empty line, that the first token is there."""
    contender = contender_class(order.load.contender)(order.load)
    contender.decode(order.prompt_ids, 1, 1)
    print(flush=True)
    return {}


def contender_class(name: str) -> Callable[[Load], Contender]:
    """What loads the contender called `name`; its libraries are imported here."""
    if name == AIRA:
        from aira_cli.bench.ours import Ours

        return Ours
    if name == TRANSFORMERS:
        from aira_cli.bench.cards import Cards

        return Cards
    from aira_cli.bench.llamacpp import LlamaCpp

    return LlamaCpp


def prefill_seconds(contender: Contender, ids: Sequence[int]) -> float:
    contender.prefill(ids)
    seconds = []
    for _ in range(_PREFILLS):
        began = time.perf_counter()
        contender.prefill(ids)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def step_seconds(stamps: Sequence[float]) -> float:
    """The median step between the clock's `stamps`, the first quarter left out as warm-up."""
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    return statistics.median(steps[min(_LONGEST_WARM_UP, len(steps) // 4) :])


def peak_memory() -> int:
    """The most bytes of memory this process held at a time.

    Linux has it by process image; the portable figure counts what the parent held at the fork.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
