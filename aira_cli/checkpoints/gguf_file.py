"""Reads what a GGUF file says about itself: its metadata and where each tensor lies.

The format is the specification's (ggml/docs/gguf.md), the constants are the `gguf` package's.
Its GGUFReader is the tests' oracle and not used here: it makes numpy arrays of every token and
merge, which takes 5.1 s on the embedded model's 98 000 strings (1.9 s on a plain array instead
of a memory map) against 0.16 s for this walk, and it lets a cut file fail anywhere.
What the metadata and tensors mean is left to `gguf_llama`; nothing here imports torch.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from gguf.constants import (
    GGML_QUANT_SIZES,
    GGUF_DEFAULT_ALIGNMENT,
    GGUF_MAGIC,
    GGMLQuantizationType,
    GGUFValueType,
)

from aira_cli.errors import CheckpointError

VERSIONS = (2, 3)
MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
UINT64 = struct.Struct("<Q")

TYPES = {int(kind): kind for kind in GGMLQuantizationType}
SUPPORTED_TYPES = tuple(
    GGMLQuantizationType[name] for name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1")
)

SCALAR_FORMATS: dict[int, str] = {  # the keys are int enumerations
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "?",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT64: "d",
}


@dataclass(frozen=True)
class GgufTensor:
    """Where a tensor lies: `shape` in torch's order, `offset` and `nbytes` in the file."""

    kind: GGMLQuantizationType
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True)
class GgufFile:
    """A read header: the metadata under its full names, the tensors under GGUF's names."""

    path: Path
    fields: dict[str, Any]
    tensors: dict[str, GgufTensor]


def read_gguf(path: Path) -> GgufFile:
    """The file's metadata and tensors, each checked to lie inside the file.

    Raises CheckpointError for a file that is no GGUF, cut, damaged, big-endian or of a version
    or tensor type that is not supported.
    """
    with path.open("rb") as file:
        header = _Header(path, _map(path, file.fileno()))
        tensor_count, fields = header.fields()
        return GgufFile(path, fields, header.tensors(tensor_count, fields))


def read_gguf_fields(path: Path) -> dict[str, Any]:
    """The metadata alone: strings, numbers, booleans and lists of them. Raises as `read_gguf`."""
    with path.open("rb") as file:
        return _Header(path, _map(path, file.fileno())).fields()[1]


def _map(path: Path, descriptor: int) -> mmap.mmap:
    try:
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except ValueError as error:  # an empty file cannot be mapped
        raise CheckpointError("gguf_not", path=path) from error


class Strings(Sequence[str]):
    """An array of strings, decoded when the first of them is asked for.

    A start that has a prepared tokenizer asks for none. Asking raises CheckpointError for
    strings that are no UTF-8.
    """

    def __init__(self, path: Path, data: mmap.mmap, at: int, count: int) -> None:
        """`data` holds `count` strings from `at` on, every one of them inside the file."""
        self._path = path
        self._data = data
        self._at = at
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._decoded[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded)

    def __eq__(self, other: object) -> bool:
        return self._decoded == (other._decoded if isinstance(other, Strings) else other)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _decoded(self) -> list[str]:
        data, at, raw = self._data, self._at, []
        for _ in range(self._count):
            start = at + UINT64.size
            at = start + UINT64.unpack_from(data, at)[0]
            raw.append(data[start:at])
        try:
            return [string.decode() for string in raw]
        except UnicodeDecodeError as error:
            raise CheckpointError("gguf_damaged", path=self._path, where="header") from error


class _Header:
    """A cursor over the mapped file; every read is checked against its end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.at = 0

    def fields(self) -> tuple[int, dict[str, Any]]:
        """The number of tensors, and the metadata; the cursor stops at the tensors' table."""
        self._check_magic()
        tensor_count, field_count = self._number("Q"), self._number("Q")
        fields: dict[str, Any] = {}
        for _ in range(field_count):
            key = self._string()
            if key in fields:
                raise CheckpointError("gguf_damaged", path=self.path, where=key)
            fields[key] = self._value(self._number("I"), key)
        return tensor_count, fields

    def tensors(self, count: int, fields: dict[str, Any]) -> dict[str, GgufTensor]:
        """The tensors' table; offsets count from the first aligned byte after it."""
        rows: dict[str, tuple[int, tuple[int, ...], int]] = {}
        for _ in range(count):
            name = self._string()
            dimensions = self._number("I")
            if name in rows or not 0 < dimensions <= MAX_DIMENSIONS:
                raise CheckpointError("gguf_damaged", path=self.path, where=name)
            shape = tuple(self._number("Q") for _ in range(dimensions))[::-1]
            if 0 in shape:
                raise CheckpointError("gguf_damaged", path=self.path, where=name)
            rows[name] = (self._number("I"), shape, self._number("Q"))
        alignment = fields.get("general.alignment", GGUF_DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise CheckpointError("gguf_damaged", path=self.path, where="general.alignment")
        start = -(-self.at // alignment) * alignment
        return {
            name: self._tensor(name, kind, shape, start + offset)
            for name, (kind, shape, offset) in rows.items()
        }

    def _check_magic(self) -> None:
        if self.data[:4] != GGUF_MAGIC.to_bytes(4, "little"):
            raise CheckpointError("gguf_not", path=self.path)
        self.at = 4
        version = self._number("I")
        if version and version & 0xFFFF == 0:  # a small number's bytes, in the other order
            raise CheckpointError("gguf_big_endian", path=self.path)
        if version not in VERSIONS:
            raise CheckpointError("gguf_version", path=self.path, version=version)

    def _tensor(self, name: str, raw_kind: int, shape: tuple[int, ...], offset: int) -> GgufTensor:
        kind = TYPES.get(raw_kind)
        if kind not in SUPPORTED_TYPES:
            found = kind.name if kind else raw_kind
            supported = ", ".join(known.name for known in SUPPORTED_TYPES)
            raise CheckpointError(
                "gguf_type", path=self.path, name=name, found=found, supported=supported
            )
        block, block_bytes = GGML_QUANT_SIZES[kind]
        if shape[-1] % block:
            raise CheckpointError("gguf_damaged", path=self.path, where=name)
        nbytes = math.prod(shape) // block * block_bytes
        if offset + nbytes > len(self.data):
            raise CheckpointError("gguf_truncated", path=self.path, where=name)
        return GgufTensor(kind, shape, offset, nbytes)

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise CheckpointError("gguf_truncated", path=self.path, where="header")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def _number(self, code: str) -> Any:
        return struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0]

    def _string(self) -> str:
        (length,) = UINT64.unpack(self._take(8))
        try:
            return self._take(length).decode()
        except UnicodeDecodeError as error:
            raise CheckpointError("gguf_damaged", path=self.path, where="header") from error

    def _value(self, raw_kind: int, key: str) -> Any:
        if raw_kind == GGUFValueType.STRING:
            return self._string()
        if raw_kind == GGUFValueType.ARRAY:
            return self._array(self._number("I"), self._number("Q"), key)
        return self._numbers(raw_kind, 1, key)[0]

    def _array(self, raw_kind: int, count: int, key: str) -> Sequence[Any]:
        """Arrays hold strings or numbers; no model writes the arrays of arrays that may be."""
        if raw_kind == GGUFValueType.STRING:
            return self._strings(count)
        return self._numbers(raw_kind, count, key)

    def _strings(self, count: int) -> Strings:
        """Many of them, a vocabulary's: passed by at every start, read where one is wanted."""
        mapped, at, length_of = self.data, self.at, UINT64.unpack_from
        start, size = at, UINT64.size
        try:
            for _ in range(count):
                at += size + length_of(mapped, at)[0]
        except (struct.error, OverflowError) as error:
            raise CheckpointError("gguf_truncated", path=self.path, where="header") from error
        if at > len(mapped):
            raise CheckpointError("gguf_truncated", path=self.path, where="header")
        self.at = at
        return Strings(self.path, mapped, start, count)

    def _numbers(self, raw_kind: int, count: int, key: str) -> list[Any]:
        if raw_kind not in SCALAR_FORMATS:
            raise CheckpointError("gguf_damaged", path=self.path, where=key)
        code = SCALAR_FORMATS[raw_kind]
        packed = self._take(count * struct.calcsize("<" + code))
        return list(struct.unpack(f"<{count}{code}", packed))
