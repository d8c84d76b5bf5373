"""Processes that train one adapter together: each learns from its part of a batch, and their
gradients are added. `torchrun` starts them; without it there is one, alone.

Two processes of one thread each wait for one another once a step; two threads of one process do at
every product, which costs most where something else takes a core now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """`size` processes, of which this is the one numbered `rank`."""

    rank: int = 0
    size: int = 1

    @classmethod
    def of_process(cls) -> Team:
        """The one that torchrun has put this process in."""
        if not dist.is_torchelastic_launched():
            return ALONE
        dist.init_process_group("gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and tells how far the run is."""
        return self.rank == 0

    def part(self, all_of_them: Sequence[T]) -> Sequence[T]:
        """This process's share; none if there are fewer than processes."""
        return all_of_them[self.rank :: self.size]

    def add_up(self, numbers: Tensor) -> None:
        """Puts the sum over all processes in place of `numbers`, the same bits in each."""
        if self.size > 1:
            dist.all_reduce(numbers)


ALONE = Team()


class Sums:
    """One flat tensor of all gradients and of two numbers beside them, so that one exchange does.

    The parameters' `grad` are views into it; a backward pass adds to them.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        counts = [parameter.numel() for parameter in parameters]
        self._flat = torch.zeros(sum(counts) + 2, device=parameters[0].device)
        parts = self._flat[:-2].split(counts)
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def clear(self) -> None:
        self._flat.zero_()

    def exchange(self, team: Team, loss: float, seconds: float) -> tuple[float, float]:
        """Adds up gradients, loss and seconds over the team."""
        self._flat[-2], self._flat[-1] = loss, seconds
        team.add_up(self._flat)
        loss, seconds = self._flat[-2:].tolist()
        return loss, seconds
