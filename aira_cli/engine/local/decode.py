"""From prompt ids to answer ids: prefill once, widen to n rows, then sample, append, stop?, step.

It knows ids only. Text, stop strings and finish reasons beyond "a stop id came" are the
engine's, which says through `drop` that a row needs no more tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aira_cli.engine.local.models.step import Cache, StepModel
from aira_cli.engine.local.sampling import choose, generators
from aira_cli.types import Sampling


@dataclass(frozen=True)
class Step:
    """The tokens of one step: `rows[i]` of the request drew `ids[i]`."""

    rows: tuple[int, ...]
    ids: tuple[int, ...]


class Decoding:
    """One request being decoded. Iterating gives a Step at a time; `drop` ends rows early."""

    def __init__(
        self,
        model: StepModel,
        cache: Cache,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        seed: int,
        drawn: int = 0,
    ) -> None:
        """`drawn` of the last `prompt_ids` were drawn with `seed` before; the rows go on there."""
        self._model = model
        self._cache = cache
        self._sampling = sampling
        self._generators = generators(seed, sampling.samples, drawn)
        self._prompt = torch.tensor([list(prompt_ids)], device=model.device)
        self._rows = list(range(sampling.samples))
        self._dropped: set[int] = set()

    @torch.inference_mode()
    def prefill(self) -> Tensor:
        """Runs what the cache does not hold yet; logits [1, V] of the last position."""
        return self._model.prefill(self._prompt[:, self._cache.length :], self._cache)

    def steps(self, logits: Tensor) -> Iterator[Step]:
        """Steps until no row is left, starting from the prompt's `logits` [1, V].

        The caller drops rows between two steps; a row never dropped never ends.
        """
        n = len(self._rows)
        ids = self._prompt.expand(n, -1)
        with torch.inference_mode():
            self._cache.widen(n)
            logits = logits.expand(n, -1)
        while self._rows:
            with torch.inference_mode():
                rows = [self._generators[row] for row in self._rows]
                drawn = choose(ids, logits, self._sampling, rows)
            yield Step(tuple(self._rows), tuple(drawn.tolist()))
            with torch.inference_mode():
                ids = torch.cat((ids, drawn[:, None]), dim=1)
                ids = self._leave(ids)
                if self._rows:
                    logits = self._model.step(ids[:, -1:], self._cache)

    def drop(self, row: int) -> None:
        """`row` leaves the batch before the next step."""
        self._dropped.add(row)

    def _leave(self, ids: Tensor) -> Tensor:
        """Takes the dropped rows out of the batch and the cache, which keeps at least one."""
        stay = [i for i, row in enumerate(self._rows) if row not in self._dropped]
        if len(stay) == len(self._rows):
            return ids
        self._rows = [self._rows[i] for i in stay]
        self._cache.keep(stay or [0])
        return ids[stay]
