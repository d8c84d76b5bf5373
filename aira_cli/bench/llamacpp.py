"""llama.cpp as a contender, through the C interface of llama-cpp-python.

n sequences go through one batch, as llama.cpp's own batched benchmark does. It is timed without
sampling: the next token is given, so its figures are those of its decoder alone.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence

import llama_cpp

from aira_cli.bench.orders import Load
from aira_cli.errors import CheckpointError

_BATCH = 2048  # tokens
_BLOCK = 256  # positions a sequence's cache is rounded up to

# The callback must outlive every call into the library.
_silence = llama_cpp.llama_log_callback(lambda level, text, user: None)


class LlamaCpp:
    """See `timing.Contender`."""

    def __init__(self, load: Load) -> None:
        llama_cpp.llama_log_set(_silence, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = 0 if load.device == "cpu" else 1 << 20  # all of them
        self._path, self._threads = load.checkpoint, load.threads
        self._model = llama_cpp.llama_model_load_from_file(self._path.encode(), parameters)
        if not self._model:
            raise CheckpointError("llama_cpp_refuses", path=self._path)
        self._context, self._room = None, (0, 0)

    def prefill(self, ids: Sequence[int]) -> None:
        self._empty_cache(1, len(ids))
        self._run([list(ids)], 0)

    def decode(self, ids: Sequence[int], rows: int, new_tokens: int) -> list[float]:
        self._empty_cache(rows, len(ids) + new_tokens)
        self._run([list(ids)] * rows, 0)
        stamps = [time.perf_counter()]
        for step in range(new_tokens - 1):
            self._run([[ids[step % len(ids)]]] * rows, len(ids) + step)
            stamps.append(time.perf_counter())
        return stamps

    def device_memory(self) -> int:
        return 0  # llama.cpp keeps no count that its interface gives out

    def _empty_cache(self, rows: int, tokens: int) -> None:
        """A context with room for `rows` sequences of `tokens`, the last one if it has that."""
        room = (rows, -(-tokens // _BLOCK) * _BLOCK)
        if room == self._room:
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
            return
        if self._context:
            llama_cpp.llama_free(self._context)
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx, parameters.n_seq_max = room[0] * room[1], rows
        parameters.n_batch = _BATCH
        parameters.n_threads = parameters.n_threads_batch = self._threads
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)
        if not self._context:
            raise CheckpointError("llama_cpp_refuses", path=self._path)
        self._room = room

    def _run(self, sequences: Sequence[Sequence[int]], past: int) -> None:
        """Decodes equally long `sequences` behind `past` positions; logits of each one's last."""
        tokens = [
            (row, past + at, token_id, at == len(ids) - 1)
            for row, ids in enumerate(sequences)
            for at, token_id in enumerate(ids)
        ]
        for start in range(0, len(tokens), _BATCH):
            self._decode(tokens[start : start + _BATCH])
        llama_cpp.llama_get_logits(self._context)  # waits for them

    def _decode(self, tokens: Sequence[tuple[int, int, int, bool]]) -> None:
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for at, (row, position, token_id, wanted) in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.logits[at] = token_id, position, wanted
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, row
        refused = llama_cpp.llama_decode(self._context, batch)
        llama_cpp.llama_batch_free(batch)
        if refused:
            raise CheckpointError("llama_cpp_refuses", path=self._path)
