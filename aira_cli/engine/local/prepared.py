"""A model's packed weights as one file that the next start maps into memory and computes from.

The file is a safetensors file; what its header says beyond tensors is the identity of the
checkpoint and the sum of all its bytes. Its name holds a digest of that identity (`copies`):
another checkpoint, number format or version of the layout is another file. A file that is
damaged in any way is as good as none, and is written anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aira_cli.engine.local.copies import Copy, remove_stale
from aira_cli.engine.local.linear import Embedding, Linear
from aira_cli.engine.local.matrix import DenseMatrix, PackedMatrix, PlainMatrix

_ALIGNED = 64  # a cache line; a tensor of the kernels' begins at a multiple of it
_PARTIAL = ".partial"
_SEAL = "padding.seal"  # the last tensor: the SHA-256 of the header
_ABANDONED_SECONDS = 3600
_DTYPES = {
    "U8": torch.uint8, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

_Kept = PackedMatrix | PlainMatrix | DenseMatrix

#: What a file that is anything else than a copy of ours can end in.
_UNUSABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, struct.error,
)  # fmt: skip

log = logging.getLogger(__name__)


# writing


def write(copy: Copy, model: nn.Module) -> None:
    """Writes the copy of a loaded `model`, or nothing if none of its weights is packed.

    The file appears whole or not at all, whoever else writes it. A full disk is no error: the
    model in memory works without the copy.
    """
    entries, tensors = _content(model)
    if not any(entry["class"] == "packed" for entry in entries):
        return
    try:
        copy.path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(copy.path.parent)
        remove_stale(copy.path.parent)
        _write(copy, entries, tensors)
    except OSError as error:
        log.debug("no prepared copy could be written: %s", error)


def _content(model: nn.Module) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """What the model is made of: each matrix once, and all other parameters."""
    slots: dict[_Kept, list[str]] = {}
    for name, layer in model.named_modules():
        if isinstance(layer, Linear | Embedding) and isinstance(layer.weight, _Kept):
            slots.setdefault(layer.weight, []).append(name)
    entries: list[dict[str, Any]] = []
    tensors: dict[str, Tensor] = {}
    for number, (matrix, names) in enumerate(slots.items()):
        entries.append({"slots": names, **_description(matrix)})
        tensors |= {f"{number}.{part}": tensor for part, tensor in matrix.named_buffers()}
    own = dict(model.named_parameters())
    return entries, tensors | {f"parameter.{name}": tensor.data for name, tensor in own.items()}


def _description(matrix: _Kept) -> dict[str, Any]:
    if isinstance(matrix, PackedMatrix):
        shape = [matrix.outputs, matrix.inputs]
        return {"class": "packed", "kind": matrix.kind, "shape": shape, "group": matrix.group}
    return {"class": "plain" if isinstance(matrix, PlainMatrix) else "dense"}


def _write(copy: Copy, entries: list[dict[str, Any]], tensors: Mapping[str, Tensor]) -> None:
    parts = list(_with_padding(tensors))
    total = sum(_checksum(_bytes_of(tensor)) for _, tensor in parts) % 2**64
    seal = torch.zeros(_ALIGNED, dtype=torch.uint8)
    parts.append((_SEAL, seal))
    header = _header(parts, {"identity": copy.identity, "entries": entries, "sum": str(total)})
    digest = hashlib.sha256(header).digest()
    seal[: len(digest)] = torch.tensor(list(digest))
    handle, name = tempfile.mkstemp(suffix=_PARTIAL, dir=copy.path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(header)
            for _, tensor in parts:
                _bytes_of(tensor).numpy().tofile(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(copy.path)
    finally:
        Path(name).unlink(missing_ok=True)


def _with_padding(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The tensors, and between them as many bytes as bring the next to a cache line."""
    for name, tensor in tensors.items():
        tensor = tensor.detach().contiguous()
        yield name, tensor
        missing = -tensor.nbytes % _ALIGNED
        if missing:
            yield f"padding.{name}", torch.zeros(missing, dtype=torch.uint8)


def _header(parts: list[tuple[str, Tensor]], own: Mapping[str, Any]) -> bytes:
    """The length and the JSON of a safetensors file, a whole number of cache lines."""
    fields: dict[str, Any] = {"__metadata__": {"aira": json.dumps(own)}}
    at = 0
    for name, tensor in parts:
        fields[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    text = json.dumps(fields).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNED)
    return struct.pack("<Q", len(text)) + text


def _bytes_of(tensor: Tensor) -> Tensor:
    return tensor.flatten().view(torch.uint8)


def _checksum(raw: Tensor) -> int:
    """The sum of the bytes as 64-bit numbers, modulo 2^64; as fast as memory is read."""
    whole = len(raw) // 8 * 8
    rest = int.from_bytes(raw[whole:].numpy().tobytes(), "little")
    return (int(raw[:whole].view(torch.int64).sum()) + rest) % 2**64


def _sweep(folder: Path) -> None:
    """Removes what killed processes left half-written."""
    for path in folder.glob(f"*{_PARTIAL}"):
        if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
            path.unlink(missing_ok=True)


# reading


def restore(copy: Copy, model: nn.Module, dtype: torch.dtype) -> bool:
    """Gives `model`, which is on the meta device, the weights of the copy; False if there is none.

    The weights stay in the file, mapped. After False the model may have some weights.
    """
    if not copy.path.exists():
        return False
    try:
        own, tensors = _read(copy)
        _put(model, own, tensors, dtype)
    except _UNUSABLE as error:
        # Whatever is wrong with a file that only this program writes, it is written again.
        log.debug("the prepared copy %s is not usable: %s", copy.path, error)
        return False
    return True


def _read(copy: Copy) -> tuple[dict[str, Any], dict[str, Tensor]]:
    mapped = torch.from_numpy(np.memmap(copy.path, mode="c"))
    (length,) = struct.unpack("<Q", mapped[:8].numpy().tobytes())
    header, content = mapped[: 8 + length].numpy().tobytes(), mapped[8 + length :]
    digest = hashlib.sha256(header).digest()
    if content[-_ALIGNED:].numpy().tobytes()[: len(digest)] != digest:
        raise ValueError("its header is not the one that was written")
    fields = json.loads(header[8:])
    own = json.loads(fields.pop("__metadata__")["aira"])
    if own["identity"] != copy.identity:
        raise ValueError("it belongs to another checkpoint")
    if str(_checksum(content[:-_ALIGNED])) != own["sum"]:
        raise ValueError("its bytes are not those that were written")
    tensors = {}
    for name, field in fields.items():
        start, end = field["data_offsets"]
        tensors[name] = content[start:end].view(_DTYPES[field["dtype"]]).view(field["shape"])
    return own, tensors


def _put(
    model: nn.Module, own: Mapping[str, Any], tensors: Mapping[str, Tensor], dtype: torch.dtype
) -> None:
    for number, entry in enumerate(own["entries"]):
        prefix = f"{number}."
        parts = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        matrix = _matrix(entry, parts)
        for slot in entry["slots"]:
            layer = model.get_submodule(slot)
            if isinstance(layer, Linear):
                layer.hold(matrix)
            elif isinstance(layer, Embedding):
                layer.hold(matrix, dtype)
    for name, tensor in tensors.items():
        if name.startswith("parameter."):
            owner, _, leaf = name.removeprefix("parameter.").rpartition(".")
            parameter = nn.Parameter(tensor, requires_grad=False)
            setattr(model.get_submodule(owner), leaf, parameter)
    if any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()]):
        raise ValueError("tensors are missing")


def _matrix(entry: Mapping[str, Any], parts: dict[str, Tensor]) -> _Kept:
    if entry["class"] == "plain":
        return PlainMatrix(parts["weight"])
    if entry["class"] == "dense":
        return DenseMatrix(parts["weight"])
    outputs, inputs = entry["shape"]
    return PackedMatrix(entry["kind"], (outputs, inputs), entry["group"], parts)
