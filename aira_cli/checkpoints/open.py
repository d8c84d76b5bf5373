"""Finds out what kind of checkpoint a path holds and opens it: a folder or a GGUF file.

Opening reads headers and configurations only and does not import torch, so that `--dry-run`
and `models show` do not wait for it; `weights()` does. Pickled files are named, never opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aira_cli.checkpoints.adapter import CONFIG as ADAPTER_CONFIG
from aira_cli.checkpoints.adapter import AdaptedCheckpoint
from aira_cli.checkpoints.gguf_llama import GgufLlama
from aira_cli.checkpoints.safetensors_folder import INDEX, SafetensorsFolder
from aira_cli.errors import CheckpointError

if TYPE_CHECKING:
    from aira_cli.checkpoints.forms import Form
    from aira_cli.checkpoints.weights import Weight

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class Checkpoint(Protocol):
    """A model's files, opened: configuration at hand, tensors still on disk."""

    @property
    def path(self) -> Path:
        """The folder or the GGUF file."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that decide what the weights are."""

    @property
    def config(self) -> dict[str, Any]:
        """What a transformers config.json says, or would say, about the model."""

    @property
    def generation(self) -> dict[str, Any]:
        """generation_config.json, or nothing."""

    @property
    def nbytes(self) -> int:
        """The size of the weight files on disk."""

    @property
    def tokenizer_fields(self) -> dict[str, Any] | None:
        """A GGUF file's "tokenizer.*" metadata, names unshortened; None for a folder."""

    def forms(self) -> dict[str, Form]:
        """What `weights` will yield, by the same names, told from headers alone."""

    def weights(self) -> Iterator[tuple[str, Weight]]:
        """Each tensor under its name in transformers' state dict, one at a time, mapped."""


def open_checkpoint(path: Path, adapter: Path | None = None) -> Checkpoint:
    """Opens the checkpoint at `path`: a folder with safetensors or one GGUF file, or that file.

    With the folder of an `adapter`, its weights are those with the adapter merged in.
    Raises CheckpointError for files that are missing, damaged, pickled or not supported, and for
    an adapter that does not fit.
    """
    try:
        checkpoint = _open_folder(path) if path.is_dir() else _open_file(path)
        return checkpoint if adapter is None else AdaptedCheckpoint.open(checkpoint, adapter)
    except OSError as error:
        reason = error.strerror or str(error)
        where = error.filename or path
        raise CheckpointError("checkpoint_unreadable", path=where, reason=reason) from error


def _open_folder(folder: Path) -> Checkpoint:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    if ADAPTER_CONFIG in names and "config.json" not in names:
        raise CheckpointError("adapter_alone", path=folder)
    if INDEX in names or any(name.endswith(".safetensors") for name in names):
        return SafetensorsFolder.open(folder)
    gguf = [name for name in names if name.lower().endswith(".gguf")]
    if len(gguf) == 1:
        return GgufLlama.open(folder / gguf[0])
    if gguf:
        raise CheckpointError("gguf_several", path=folder, files=", ".join(gguf))
    pickled = [name for name in names if name.lower().endswith(PICKLED)]
    if pickled:
        raise CheckpointError("pickled_weights", path=folder, files=", ".join(pickled))
    raise CheckpointError("no_weights", path=folder)


def _open_file(path: Path) -> Checkpoint:
    if not path.exists():
        raise CheckpointError("checkpoint_not_found", path=path)
    if path.name.lower().endswith(PICKLED):
        raise CheckpointError("pickled_weights", path=path.parent, files=path.name)
    if path.suffix.lower() == ".safetensors":
        raise CheckpointError("safetensors_file", path=path, folder=path.parent)
    return GgufLlama.open(path)
