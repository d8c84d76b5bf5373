"""From a profile to something that answers: its source resolved, its files opened, its gaps filled.

What a profile leaves open (prompt format, context length, sampling) is read from the
checkpoint's own files. torch is imported only where weights are loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.checkpoints.safetensors_folder import read_json
from aira_cli.engine.local.copies import PREPARED, Copy
from aira_cli.engine.local.prompter import Prompter
from aira_cli.errors import CheckpointError
from aira_cli.profiles.schema import Profile, SamplingFields
from aira_cli.prompts.formats import stop_ids
from aira_cli.prompts.gguf_tokenizer import gguf_blueprint
from aira_cli.prompts.shielded import read_shielded, shielded, write_shielded
from aira_cli.prompts.tokenizer import Tokenizer, folder_blueprint
from aira_cli.prompts.vocabulary import Blueprint
from aira_cli.sources.progress import Progress
from aira_cli.sources.resolve import resolve, resolve_adapter
from aira_cli.types import Source

if TYPE_CHECKING:
    from aira_cli.engine.local.engine import LocalEngine

# The names under which configurations give the context length; ALiBi models give none.
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "seq_length", "n_ctx")
_CONTEXT_UNKNOWN = 2048

log = logging.getLogger(__name__)

# A folder with one of these can be given a tokenizer.
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


@dataclass(frozen=True)
class Place:
    """Where files are kept, whether a network and our own kernels may be used, who hears of it."""

    cache_dir: Path
    offline: bool
    progress: Progress
    native: bool = True

    def resolve(self, source: Source, *, weights: bool) -> Path:
        return resolve(
            source,
            cache_dir=self.cache_dir, offline=self.offline,
            progress=self.progress, weights=weights,
        )  # fmt: skip

    def adapter(self, profile: Profile) -> Path | None:
        """The folder of the profile's adapter, None where it has none."""
        if profile.adapter is None:
            return None
        return resolve_adapter(profile.adapter, offline=self.offline, progress=self.progress)


def fetch_all(profile: Profile, place: Place) -> Path:
    """Everything that running `profile` needs, on this machine; where the checkpoint is."""
    place.adapter(profile)
    path = place.resolve(profile.source, weights=True)
    if profile.tokenizer is not None and path.is_dir() and not _has_tokenizer(path):
        place.resolve(profile.tokenizer, weights=False)
    return path


def open_prompter(profile: Profile, place: Place) -> tuple[Profile, Prompter]:
    """The completed profile and what makes its prompts; no weights are fetched or loaded."""
    path = place.resolve(profile.source, weights=False)
    if path.is_dir() and (path / "config.json").exists():
        generation = path / "generation_config.json"
        config = read_json(path / "config.json")
        facts = read_json(generation) if generation.exists() else {}
        return _prompter(profile, config, facts, _folder_tokenizer(profile, path, place))
    checkpoint = open_checkpoint(path)
    tokenizer = _tokenizer(profile, checkpoint.path, checkpoint.tokenizer_fields, place)
    return _prompter(profile, checkpoint.config, checkpoint.generation, tokenizer)


def open_model(
    profile: Profile,
    place: Place,
    device: str | None,
    dtype: str | None,
    check: Callable[[Profile, Prompter], object] | None = None,
) -> tuple[Profile, LocalEngine]:
    """The completed profile and an engine with its weights on `device`, in `dtype`.

    `check` is called before the weights are loaded, and may refuse by raising.
    Raises UsageError for a device or type that is not there, ModelUnavailable where the files
    cannot be had, CheckpointError where they cannot be used.
    """
    from aira_cli.engine.local.device import memory_errors, pick_device, pick_precision
    from aira_cli.engine.local.engine import LocalEngine
    from aira_cli.engine.local.load import load_model
    from aira_cli.engine.local.native import kernels

    torch_device = pick_device(device)
    if place.native:
        kernels.activate(place.cache_dir / "native")
    precision = pick_precision(dtype, torch_device)
    adapter = place.adapter(profile)
    checkpoint = open_checkpoint(place.resolve(profile.source, weights=True), adapter)
    tokenizer = _tokenizer(profile, checkpoint.path, checkpoint.tokenizer_fields, place)
    completed, prompter = _prompter(profile, checkpoint.config, checkpoint.generation, tokenizer)
    if check is not None:
        check(completed, prompter)
    with memory_errors(torch_device):
        folder = place.cache_dir / PREPARED
        model = load_model(checkpoint, torch_device, precision, prepared=folder)
    return completed, LocalEngine(model, prompter)


def _tokenizer(
    profile: Profile, path: Path, fields: Mapping[str, Any] | None, place: Place
) -> Tokenizer:
    if fields is not None:
        return _prepared_tokenizer(path, place, lambda: gguf_blueprint(fields, str(path)))
    return _folder_tokenizer(profile, path, place)


def _folder_tokenizer(profile: Profile, folder: Path, place: Place) -> Tokenizer:
    """The checkpoint's own tokenizer; the profile's second source only if it has none."""
    if profile.tokenizer is not None and not _has_tokenizer(folder):
        folder = place.resolve(profile.tokenizer, weights=False)
    return _prepared_tokenizer(folder, place, lambda: folder_blueprint(folder))


def _prepared_tokenizer(path: Path, place: Place, read: Callable[[], Blueprint]) -> Tokenizer:
    """The tokenizer of the checkpoint at `path` from its prepared copy, which `read` makes anew."""
    copy = Copy.of_tokenizer(path, place.cache_dir / PREPARED)
    try:
        return Tokenizer(read_shielded(copy.path, copy.identity), str(path))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, CheckpointError) as error:
        log.debug("the prepared tokenizer %s is not usable: %s", copy.path, error)
    made = shielded(read())
    try:
        write_shielded(copy.path, copy.identity, made)
    except OSError as error:
        log.debug("no prepared tokenizer could be written: %s", error)
    return Tokenizer(made, str(path))


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).exists() for name in _TOKENIZER_FILES)


def _prompter(
    profile: Profile,
    config: Mapping[str, Any],
    generation: Mapping[str, Any],
    tokenizer: Tokenizer,
) -> tuple[Profile, Prompter]:
    completed = complete(
        profile, config, generation, has_template=tokenizer.chat_template is not None
    )
    assert completed.context_length is not None
    ends = stop_ids(completed.prompt_format, tokenizer) | _ids(generation) | _ids(config)
    prompter = Prompter(tokenizer, completed.prompt_format, ends, completed.context_length)
    return completed, prompter


def complete(
    profile: Profile,
    config: Mapping[str, Any],
    generation: Mapping[str, Any],
    *,
    has_template: bool,
) -> Profile:
    """`profile` with its gaps filled from a checkpoint's configuration; what it says stays."""
    filled: dict[str, Any] = {}
    if profile.prompt_format == "auto":
        filled["prompt_format"] = "template" if has_template else "raw"
    if profile.context_length is None:
        found = (config.get(key) for key in _CONTEXT_KEYS)
        filled["context_length"] = next((n for n in found if isinstance(n, int)), _CONTEXT_UNKNOWN)
    filled["sampling"] = _sampling(profile, generation)
    return profile.model_copy(update=filled)


def _sampling(profile: Profile, generation: Mapping[str, Any]) -> SamplingFields:
    """The profile's settings; those it leaves out as the checkpoint's authors recommend them."""
    names = ("temperature", "top_k", "top_p", "repetition_penalty")
    advised = {name: generation[name] for name in names if generation.get(name) is not None}
    declared = profile.sampling.model_dump(exclude_unset=True)
    try:
        return SamplingFields.model_validate(advised | declared)
    except ValidationError:  # the advice is out of range: a profile of ours never is
        return profile.sampling


def _ids(config: Mapping[str, Any]) -> frozenset[int]:
    """eos_token_id, which is one id or several."""
    found = config.get("eos_token_id")
    ids = found if isinstance(found, list) else [found]
    return frozenset(i for i in ids if isinstance(i, int))
