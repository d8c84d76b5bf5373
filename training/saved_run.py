"""A training run on disk: its state, from which it goes on as if never interrupted, and its curve.

state.safetensors   adapter and optimizer at some step; replaced whole, never written into
curve.jsonl         a line for each step
adapter/            the adapter in PEFT's format, at the end
summary.json        what was done and what it cost, at the end
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of each parameter


@dataclass
class Position:
    """How far a run is: its steps, tokens and seconds so far."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.adapter = path / "adapter"
        self.summary = path / "summary.json"
        self._state = path / "state.safetensors"
        self._curve = path / "curve.jsonl"
        path.mkdir(parents=True, exist_ok=True)

    @property
    def begun(self) -> bool:
        return self._state.exists()

    def save(
        self,
        position: Position,
        recipe: Mapping[str, Any],
        parameters: Sequence[tuple[str, Tensor]],
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Chance has no state to keep: batches follow from seed and step, nothing is dropped."""
        tensors = {f"weight {name}": parameter.detach() for name, parameter in parameters}
        for name, parameter in parameters:
            state = optimizer.state[parameter]
            tensors |= {f"{moment} {name}": state[moment] for moment in MOMENTS}
        told = {"position": json.dumps(vars(position)), "recipe": json.dumps(recipe)}
        partial = self._state.with_suffix(".partial")
        save_file(tensors, partial, told)
        partial.replace(self._state)

    def restore(
        self,
        recipe: Mapping[str, Any],
        parameters: Sequence[tuple[str, Tensor]],
        optimizer: torch.optim.Optimizer,
    ) -> Position:
        """Fills parameters and optimizer. SystemExit for a state of another recipe."""
        with safe_open(self._state, "pt") as file:
            told = file.metadata()
            if json.loads(told["recipe"]) != recipe:
                raise SystemExit(f"{self._state} is of another recipe: {told['recipe']}")
            position = Position(**json.loads(told["position"]))
            for name, parameter in parameters:
                parameter.data.copy_(file.get_tensor(f"weight {name}"))
                moments = {m: file.get_tensor(f"{m} {name}").to(parameter.device) for m in MOMENTS}
                step = torch.tensor(float(position.step), device=parameter.device)
                optimizer.state[parameter] = {"step": step, **moments}
        return position

    def begin(self) -> None:
        """Forgets what an earlier run left."""
        self._state.unlink(missing_ok=True)
        self._curve.write_text("", encoding="utf-8")

    def add(self, line: Mapping[str, float]) -> None:
        with self._curve.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def curve(self) -> list[dict[str, float]]:
        return [json.loads(line) for line in self._curve.read_text(encoding="utf-8").splitlines()]

    def cut_curve(self, steps: int) -> None:
        """Takes away what was written after the state was."""
        lines = self._curve.read_text(encoding="utf-8").splitlines(keepends=True)
        self._curve.write_text("".join(lines[:steps]), encoding="utf-8")
