"""A step on a GPU, captured once in a CUDA graph and replayed: one launch instead of hundreds.

What changes between two steps must lie in memory that the graph reads: the inputs, the position
that new keys and values go to, and which positions are seen. So inside a graph attention runs
over all memory of the cache under a mask. A graph holds for one number of rows and one memory;
the cache forgets it when either changes. What comes out is compared once with the step as it is
run without a graph; a graph that differs, or cannot be captured, is not used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

#: Captured and plain attention add in another order; bfloat16 has 8 significant bits.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Seen:
    """Where the next keys and values go, int64 [1], and the mask [1, S] over all memory."""

    at: Tensor
    mask: Tensor

    @classmethod
    def of(cls, room: int, device: torch.device, dtype: torch.dtype) -> Seen:
        at = torch.zeros(1, dtype=torch.int64, device=device)
        return cls(at, torch.full((1, room), float("-inf"), dtype=dtype, device=device))

    def move(self, length: int) -> None:
        """The next token is at position `length`, and sees itself and all before."""
        self.at.fill_(length)
        self.mask[:, : length + 1] = 0
        self.mask[:, length + 1 :] = float("-inf")


@dataclass
class Graph:
    """A captured step; `captured` is None where there is none and the step is run as it is."""

    captured: Any
    seen: Seen
    inputs: tuple[Tensor, ...]
    logits: Tensor

    def replay(self, inputs: tuple[Tensor, ...], length: int) -> Tensor:
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        self.seen.move(length)
        self.captured.replay()
        return self.logits.clone()


def capture(
    step: Callable[..., Tensor], inputs: tuple[Tensor, ...], seen: Seen, length: int
) -> Graph:
    """`step(*inputs)` → logits, which sees the cache through `seen`, as a graph.

    The step is run twice before, as torch wants it; it stores the same keys and values each time.
    """
    places = tuple(value.clone() for value in inputs)
    seen.move(length)
    graph = torch.cuda.CUDAGraph()
    try:
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            expected = step(*places).clone()
            step(*places)
        torch.cuda.current_stream().wait_stream(beside)
        with torch.cuda.graph(graph):
            logits = step(*places)
        graph.replay()
        if (logits - expected).abs().max() <= _TOLERANCE * expected.abs().max():
            return Graph(graph, seen, places, logits)
        log.debug("a captured step differs from the plain one; steps are run one by one")
    except RuntimeError as error:
        log.debug("a step could not be captured: %s", error)
    return Graph(None, seen, places, places[0])
