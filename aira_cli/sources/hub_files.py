"""Which files of a model repository are needed, decided from their names alone.

Weights are safetensors or GGUF and never the pickled twins beside them. Fetching, caching and
reading the files is for others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from aira_cli.errors import CheckpointError, UsageError
from aira_cli.types import HubSource

INDEX = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
_CONFIG = "config.json"

#: Everything small that a checkpoint's configuration, tokenizer and template may need.
SMALL_FILES = (
    _CONFIG,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "chat_template.jinja",
    "chat_template.json",
)
#: Any one of these sets is a whole tokenizer.
_TOKENIZERS: tuple[frozenset[str], ...] = (
    frozenset({"tokenizer.json"}),
    frozenset({"tokenizer.model"}),
    frozenset({"spiece.model"}),
    frozenset({"vocab.txt"}),
    frozenset({"vocab.json", "merges.txt"}),
)
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
#: Safetensors that are not the model: Mistral's duplicate of the shards, an adapter alone.
_NOT_THE_MODEL = ("consolidated", "adapter_")

#: All of an adapter in PEFT's format, and the pickled twin of the second.
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
ADAPTER_PICKLED = "adapter_model.bin"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95})?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,250}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_names(source: HubSource) -> None:
    """Refuse names that are no repository, revision or GGUF file: nothing may leave the cache."""
    if not _NAME.fullmatch(source.hub) or ".." in source.hub or "--" in source.hub:
        raise UsageError("hub_bad_name", repo=source.hub)
    if not _REVISION.fullmatch(source.revision) or not is_plain_path(source.revision):
        raise UsageError("hub_bad_revision", repo=source.hub, revision=source.revision)
    if source.file is None:
        return
    if not is_plain_path(source.file) or not source.file.lower().endswith(".gguf"):
        raise UsageError("hub_bad_file", repo=source.hub, file=source.file)


def is_plain_path(name: str) -> bool:
    """Whether `name` is a relative path with / that stays below where it starts, everywhere."""
    parts = name.split("/")
    odd = any(part in ("", ".", "..") for part in parts)
    return not odd and "\\" not in name and ":" not in name and not _CONTROL.search(name)


def small_files(names: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in SMALL_FILES if name in names)


def has_config(names: Collection[str]) -> bool:
    return _CONFIG in names


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether all files of some kind of tokenizer are among `names`."""
    return any(tokenizer.issubset(names) for tokenizer in _TOKENIZERS)


def model_weights(names: Collection[str]) -> str | None:
    """The file that leads to the safetensors weights: the only one, or the index of shards.

    A whole model.safetensors goes before an index, as in transformers: quantized repositories
    keep the stale index of the model they were made from.
    """
    if _WHOLE in names or INDEX in names:
        return _WHOLE if _WHOLE in names else INDEX
    others = _other_safetensors(names)
    return others[0] if len(others) == 1 else None


def gguf_files(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if name.lower().endswith(".gguf"))


def shards_of(index: Path) -> tuple[str, ...] | None:
    """The shards that an index file names; None when it is no index."""
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted(set(weight_map.values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    plain = all(is_plain_path(shard) and shard.endswith(".safetensors") for shard in shards)
    return tuple(shards) if shards and plain else None


def choose_weights(repo: str, names: Collection[str]) -> str:
    """The file of `names` that leads to the weights: safetensors, an index, or the one GGUF.

    Raises UsageError when several GGUF files are there to choose from, CheckpointError when
    the repository has nothing that may be opened.
    """
    chosen = model_weights(names)
    if chosen is not None:
        if _CONFIG not in names:
            raise CheckpointError("hub_no_config", repo=repo)
        return chosen
    files = gguf_files(names)
    if len(files) == 1:
        return files[0]
    if files:
        listed = ", ".join(files[:12]) + (", …" if len(files) > 12 else "")
        raise UsageError("hub_several_gguf", repo=repo, files=listed, example=f"{repo}:{files[0]}")
    raise _no_weights(repo, names)


def require_adapter(repo: str, names: Collection[str]) -> None:
    """CheckpointError where `names` are not those of an adapter that may be opened."""
    missing = [name for name in ADAPTER_FILES if name not in names]
    if ADAPTER_FILES[1] in missing and ADAPTER_PICKLED in names:
        raise CheckpointError("adapter_pickled", path=repo, file=ADAPTER_PICKLED)
    if missing:
        raise CheckpointError("adapter_file_missing", path=repo, file=missing[0])


def _no_weights(repo: str, names: Collection[str]) -> CheckpointError:
    others = _other_safetensors(names)
    if len(others) > 1:
        return CheckpointError("hub_unclear_weights", repo=repo, files=", ".join(others[:12]))
    if "adapter_config.json" in names:
        return CheckpointError("hub_adapter", repo=repo)
    pickled = sorted(name for name in names if PurePosixPath(name).suffix in _PICKLED)
    if pickled:
        return CheckpointError("hub_pickled", repo=repo, files=", ".join(pickled[:12]))
    return CheckpointError("hub_no_weights", repo=repo)


def _other_safetensors(names: Collection[str]) -> list[str]:
    top = (name for name in names if "/" not in name and name.endswith(".safetensors"))
    return sorted(name for name in top if not name.startswith(_NOT_THE_MODEL))
