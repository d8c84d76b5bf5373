"""The compiled kernels as functions on tensors; products.h and attention.h say what they do.

B  rows (samples)   T  new tokens   N  outputs   K  inputs
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_float, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aira_cli.engine.local.native.build import library

LANES = 16  # numbers in a register: what vectors are a multiple of
STRIP = 32  # outputs that are packed together

# Kinds of weights, equal to those in products.h.
INT4_POINTS, INT4_EIGHT, INT4_MINIMA, INT8_GROUPS, INT8_ROWS = range(5)
PLAIN = {torch.float16: 5, torch.bfloat16: 6, torch.float32: 7}

log = logging.getLogger(__name__)


class Weight(ctypes.Structure):
    """A weight [N, K] as products.h describes it."""

    _fields_ = (
        ("values", c_void_p),
        ("scale", c_void_p),
        ("offset", c_void_p),
        ("bias", c_void_p),
        ("outputs", c_int64),
        ("inputs", c_int64),
        ("group", c_int64),
        ("kind", c_int32),
    )


class Product(ctypes.Structure):
    """x times several weights, as products.h describes it."""

    _fields_ = (
        ("weights", c_void_p),
        ("count", c_int64),
        ("x", c_void_p),
        ("rows", c_int64),
        ("y", c_void_p),
        ("adds", c_int32),
        ("planes", c_int32),
        ("threads", c_int32),
    )


class Rowwise(ctypes.Structure):
    """A norm or an activation, as kernels.cpp describes it."""

    _fields_ = (
        ("x", c_void_p),
        ("weight", c_void_p),
        ("bias", c_void_p),
        ("y", c_void_p),
        ("rows", c_int64),
        ("size", c_int64),
        ("eps", c_float),
        ("threads", c_int32),
    )


class Attention(ctypes.Structure):
    """One layer's new tokens and its cache, as attention.h describes them."""

    _fields_ = (
        ("queries", c_void_p),
        ("keys", c_void_p),
        ("values", c_void_p),
        ("token", c_int64),
        ("head", c_int64),
        ("cached_keys", c_void_p),
        ("cached_values", c_void_p),
        ("cached_row", c_int64),
        ("cached_head", c_int64),
        ("cosines", c_void_p),
        ("sines", c_void_p),
        ("slopes", c_void_p),
        ("out", c_void_p),
        ("past", c_void_p),
        ("rows", c_int64),
        ("tokens", c_int64),
        ("heads", c_int64),
        ("kv_heads", c_int64),
        ("head_dim", c_int64),
        ("threads", c_int32),
    )


class _Call(ctypes.Structure):
    _fields_ = (("function", c_void_p), ("argument", c_void_p))


class Tape:
    """Calls in their order, to be made again on the same memory, which it keeps alive.

    `whole` is False if something between them was computed by torch.
    """

    def __init__(self) -> None:
        self.whole = True
        self._calls: list[_Call] = []
        self._alive: list[object] = []
        self._array: ctypes.Array[_Call] | None = None

    def add(self, function: Any, argument: ctypes.Structure, alive: Sequence[object]) -> None:
        address = ctypes.cast(function, c_void_p).value
        self._calls.append(_Call(address, ctypes.addressof(argument)))
        self._alive += [argument, *alive]

    def array(self) -> ctypes.Array[_Call]:
        if self._array is None:
            self._array = (_Call * len(self._calls))(*self._calls)
        return self._array


class Kernels:
    """The functions of one compiled library. Tensors are float32, on the CPU and contiguous."""

    def __init__(self, path: Path) -> None:
        loaded = ctypes.CDLL(str(path))
        self._product = loaded.aira_product
        self._rms_norm, self._layer_norm = loaded.aira_rms_norm, loaded.aira_layer_norm
        self._silu_times, self._gelu = loaded.aira_silu_times, loaded.aira_gelu
        self._attend, self._replay = loaded.aira_attend, loaded.aira_replay
        self._replay.argtypes = (c_void_p, c_int64)
        self._tape: Tape | None = None
        self._planes = 2

    def product(self, weights: ctypes.Array[Weight], x: Tensor, width: int) -> Tensor:
        """x [..., K] times every weight, side by side → [..., width]."""
        y = torch.empty((*x.shape[:-1], width))
        self._multiply(weights, x, y, 0)
        return y

    def add_product(self, weights: ctypes.Array[Weight], x: Tensor, y: Tensor) -> None:
        """Adds x times the weight to y [..., N]."""
        self._multiply(weights, x, y, 1)

    def _multiply(self, weights: ctypes.Array[Weight], x: Tensor, y: Tensor, adds: int) -> None:
        rows, at = x.numel() // x.shape[-1], ctypes.addressof(weights)
        call = Product(
            at, len(weights), x.data_ptr(), rows, y.data_ptr(), adds, self._planes, _threads()
        )
        self._call(self._product, call, weights, x, y)

    def rms_norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return self._rowwise(self._rms_norm, x, torch.empty_like(x), weight, None, eps)

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        return self._rowwise(self._layer_norm, x, torch.empty_like(x), weight, bias, eps)

    def silu_times(self, x: Tensor) -> Tensor:
        """x [..., 2 * size], gate and up side by side → silu(gate) * up [..., size]."""
        y = torch.empty((*x.shape[:-1], x.shape[-1] // 2))
        return self._rowwise(self._silu_times, x, y)

    def gelu(self, x: Tensor) -> Tensor:
        return self._rowwise(self._gelu, x, torch.empty_like(x))

    def _rowwise(
        self,
        function: Any,
        x: Tensor,
        y: Tensor,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 0.0,
    ) -> Tensor:
        size = y.shape[-1]
        call = Rowwise(
            x.data_ptr(), None if weight is None else weight.data_ptr(),
            None if bias is None else bias.data_ptr(), y.data_ptr(),
            y.numel() // size, size, eps, _threads(),
        )  # fmt: skip
        self._call(function, call, x, y, weight, bias)
        return y

    def attend(self, attention: Attention, *alive: object) -> None:
        attention.threads = _threads()
        self._call(self._attend, attention, *alive)

    def _call(self, function: Any, argument: ctypes.Structure, *alive: object) -> None:
        if self._tape is not None:
            self._tape.add(function, argument, alive)
        function(ctypes.byref(argument))

    @contextmanager
    def coarse(self) -> Iterator[None]:
        """Packed weights meet activations of 8 bits inside, not of 16: half the work."""
        self._planes = 1
        try:
            yield
        finally:
            self._planes = 2

    def leave_to_torch(self) -> None:
        """Something is computed by torch that a tape would lack."""
        if self._tape is not None:
            self._tape.whole = False

    @contextmanager
    def recording(self) -> Iterator[Tape]:
        """What is called inside is made as always, and kept on the tape."""
        assert self._tape is None
        self._tape = tape = Tape()
        try:
            yield tape
        finally:
            self._tape = None

    def replay(self, tape: Tape) -> None:
        calls = tape.array()
        self._replay(ctypes.addressof(calls), len(calls))


def _threads() -> int:
    return torch.get_num_threads()


def weights_array(weights: Sequence[Weight]) -> ctypes.Array[Weight]:
    return (Weight * len(weights))(*weights)


_active: Kernels | None = None


def activate(folder: Path) -> None:
    """From now on this process computes with the kernels, if they can be had."""
    global _active
    if _active is None and (path := library(folder)) is not None:
        try:
            _active = Kernels(path)
        except OSError as error:
            log.debug("kernels not loaded, torch's are used: %s", error)


def deactivate() -> None:
    """From now on this process computes with torch's own."""
    global _active
    _active = None


def active() -> Kernels | None:
    """The kernels that are in use."""
    return _active
