"""The model cards' way as a contender: transformers' generate on dense weights."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from typing import Any

import torch

from aira_cli.bench.orders import Load
from aira_cli.bench.ours import (
    PENALTY,
    SEED,
    TEMPERATURE,
    TOP_K,
    checkpoint_of,
    device_memory,
)
from aira_cli.engine.local.device import DTYPES, memory_errors, pick_device
from aira_cli.engine.local.models.generic import load_transformers_model


class _Clock:
    """A streamer for generate: the time at which each step's tokens are there."""

    def __init__(self) -> None:
        self.stamps: list[float] = []

    def put(self, tokens: object) -> None:
        self.stamps.append(time.perf_counter())

    def end(self) -> None:
        return None


class Cards:
    """See `timing.Contender`."""

    def __init__(self, load: Load) -> None:
        torch.set_num_threads(load.threads)
        torch.manual_seed(SEED)
        assert load.dtype is not None
        self._device = pick_device(load.device)
        with memory_errors(self._device):
            dtype = DTYPES[load.dtype]
            self._model = load_transformers_model(checkpoint_of(load), self._device, dtype)
        parameters = inspect.signature(self._model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> None:
        out = self._model(self._tensor(ids), use_cache=True, **self._last_only)
        float(out.logits[0, -1, 0])  # waits for an accelerator

    def decode(self, ids: Sequence[int], rows: int, new_tokens: int) -> list[float]:
        prompt = self._tensor(ids)
        clock: Any = _Clock()
        self._model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            pad_token_id=0,
            do_sample=True, temperature=TEMPERATURE, top_k=TOP_K, repetition_penalty=PENALTY,
            num_return_sequences=rows, min_new_tokens=new_tokens, max_new_tokens=new_tokens,
            streamer=clock,
        )  # fmt: skip
        stamps: list[float] = clock.stamps
        return stamps[1:]  # the first is the prompt's

    def device_memory(self) -> int:
        return device_memory(self._device)

    def _tensor(self, ids: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(ids)], device=self._device)
