"""The local engine: a request becomes ids, ids are decoded, rows of ids become chunks of text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from aira_cli.engine.local.decode import Decoding
from aira_cli.engine.local.device import memory_errors
from aira_cli.engine.local.models.step import Cache, StepModel
from aira_cli.engine.local.prompter import Prompter
from aira_cli.engine.loops import is_looping
from aira_cli.engine.text import TextStream
from aira_cli.errors import ContextError
from aira_cli.prompts.segments import Prompt
from aira_cli.types import Chunk, FinishReason, Request, Sampling, Stats


@dataclass
class _Row:
    """One answer under way."""

    text: TextStream
    ids: list[int]
    begun: int
    fresh: str = ""
    unsent: list[int] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """How many were drawn for this request."""
        return len(self.ids) - self.begun

    def sent_ids(self) -> tuple[int, ...]:
        """The ids since the last chunk, which go out with this one."""
        ids, self.unsent = tuple(self.unsent), []
        return ids


class LocalEngine:
    """Answers with a model on this machine; keeps the last prompt's cache for the next one."""

    def __init__(self, model: StepModel, prompter: Prompter) -> None:
        self.prompter = prompter
        self._model = model
        self._cache: Cache | None = None
        self._cached_ids: tuple[int, ...] = ()
        self._stopped: set[int] = set()

    @property
    def context_length(self) -> int:
        return self.prompter.context_length

    def prompt(self, request: Request) -> Prompt:
        return self.prompter.prompt(request)

    def stop(self, row: int) -> None:
        self._stopped.add(row)

    def close(self) -> None:
        self._cache, self._cached_ids = None, ()

    def stream(self, request: Request) -> Iterator[Chunk]:
        """See `engine.base.Engine.stream`."""
        ids = self._ids(request)
        self._stopped.clear()
        sampling = self._within_context(request.sampling, len(ids))
        cache, cached = self._start_cache(ids)
        with memory_errors(self._model.device):
            drawn = len(request.begun)
            decoding = Decoding(self._model, cache, ids, sampling, request.seed, drawn)
            began = time.perf_counter()
            logits = decoding.prefill()
            prefilled = time.perf_counter()
            rows = [self._new_row(request) for _ in range(sampling.samples)]
            try:
                yield from self._begun(rows)
                yield from self._answers(decoding, logits, rows, sampling)
            except GeneratorExit:  # closed between two steps: the cache is whole
                self._keep_prompt(cache, ids)
                raise
            self._keep_prompt(cache, ids)
        yield Chunk(
            row=0, text="",
            stats=Stats(
                prompt_tokens=len(ids), cached_tokens=cached,
                tokens=tuple(row.tokens for row in rows),
                prefill_seconds=prefilled - began,
                decode_seconds=time.perf_counter() - prefilled,
            ),
        )  # fmt: skip

    def _answers(
        self, decoding: Decoding, logits: Tensor, rows: Sequence[_Row], sampling: Sampling
    ) -> Iterator[Chunk]:
        """The chunks of all rows until each has finished."""
        for step in decoding.steps(logits):
            for number, token_id in zip(step.rows, step.ids, strict=True):
                row = rows[number]
                reason = self._take(row, token_id, sampling)
                if reason is None and number in self._stopped:
                    reason = "interrupted"
                text = row.fresh + (row.text.finish() if reason else "")
                if reason:
                    decoding.drop(number)
                if text or reason:
                    yield Chunk(number, text, row.sent_ids(), reason)

    def _take(self, row: _Row, token_id: int, sampling: Sampling) -> FinishReason | None:
        """Adds a token to a row; why the row ends with it, or None."""
        row.ids.append(token_id)
        row.unsent.append(token_id)
        row.fresh = ""
        if token_id in self.prompter.stop_ids:
            return "end"
        row.fresh = row.text.push(token_id)
        if row.text.stopped:
            return "stop"
        if is_looping(row.ids):
            return "loop"
        return "length" if row.tokens >= sampling.max_new_tokens else None

    def _ids(self, request: Request) -> tuple[int, ...]:
        """The prompt and what the answers begin with. ContextError if nothing could follow."""
        ids = self.prompter.prompt(request).ids + request.begun
        if len(ids) >= self.context_length:
            raise ContextError("prompt_too_long", tokens=len(ids), context=self.context_length)
        return ids

    def _new_row(self, request: Request) -> _Row:
        text = TextStream(self.prompter.tokenizer.decode, request.sampling.stop)
        return _Row(text, list(request.begun), len(request.begun), unsent=list(request.begun))

    def _begun(self, rows: Sequence[_Row]) -> Iterator[Chunk]:
        """What the rows have to begin with."""
        for number, row in enumerate(rows):
            text = "".join(row.text.push(token_id) for token_id in row.ids)
            if row.ids:
                yield Chunk(number, text, row.sent_ids())

    def _within_context(self, sampling: Sampling, prompt_tokens: int) -> Sampling:
        """Answers end where the context does."""
        room = self.prompter.context_length - prompt_tokens
        return replace(sampling, max_new_tokens=min(sampling.max_new_tokens, room))

    def _start_cache(self, ids: Sequence[int]) -> tuple[Cache, int]:
        """A cache holding as much of `ids` as the last prompt shares, but never the last id.

        The last id is always run: its logits are where the answer starts.
        """
        shared = 0
        for ours, cached in zip(ids[:-1], self._cached_ids, strict=False):
            if ours != cached:
                break
            shared += 1
        cache = self._cache
        self._cache, self._cached_ids = None, ()
        if cache is None or not shared or not cache.rewind(shared):
            return self._model.new_cache(), 0
        return cache, shared

    def _keep_prompt(self, cache: Cache, ids: Sequence[int]) -> None:
        """After an answer, or what was made of it: the prompt's part of one row stays."""
        cache.keep([0])
        if cache.rewind(len(ids)):
            self._cache, self._cached_ids = cache, tuple(ids)
