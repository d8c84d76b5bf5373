"""What is measured: a checkpoint at hand, or one of random weights that goes away after the run."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aira_cli.bench.children import Children
from aira_cli.bench.orders import WriteShape
from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.checkpoints.quantization import awq_group_size
from aira_cli.errors import ContextError
from aira_cli.profiles.schema import Profile

# Llama's configuration with one of these is not what a GGUF file of ours would say.
_NOT_IN_GGUF = ("rope_scaling", "attention_bias", "mlp_bias", "rope_parameters")
_Q4_0_BLOCK = 32


@dataclass(frozen=True)
class Subject:
    """A checkpoint under the `name` a person gave; `gguf` holds the same weights, or is None.

    `prepared` is the folder of copies prepared for a quick start, `adapter` that of an adapter.
    """

    name: str
    checkpoint: Path
    gguf: Path | None
    random: bool
    prepared: Path
    adapter: Path | None = None

    @property
    def nbytes(self) -> int:
        return open_checkpoint(self.checkpoint, self.adapter).nbytes

    def prompt_ids(self, tokens: int, new_tokens: int) -> list[int]:
        """Random ids, the same in every run. ContextError if the model cannot take as many."""
        context = self.context()
        if context is not None and tokens + new_tokens > context:
            raise ContextError("prompt_too_long", tokens=tokens + new_tokens, context=context)
        draw = random.Random(0)
        vocabulary = int(open_checkpoint(self.checkpoint).config["vocab_size"])
        return [draw.randrange(vocabulary) for _ in range(tokens)]

    def context(self) -> int | None:
        """The most tokens the model takes; None where nothing ends (ALiBi)."""
        config = open_checkpoint(self.checkpoint).config
        found = config.get("max_position_embeddings") or config.get("n_positions")
        return found if isinstance(found, int) else None


def real_subject(
    name: str, checkpoint: Path, prepared: Path, adapter: Path | None = None
) -> Subject:
    """An adapter is not in the GGUF file that llama.cpp would read."""
    whole = checkpoint.suffix.lower() == ".gguf" and adapter is None
    gguf = checkpoint if whole else None
    return Subject(name, checkpoint, gguf, random=False, prepared=prepared, adapter=adapter)


@contextmanager
def random_subject(profile: Profile, children: Children, *, gguf: bool) -> Iterator[Subject]:
    """Random weights of the profile's architecture, in files that go away at the end.

    `gguf` asks for the same weights as a GGUF file, where that can hold them.
    """
    assert profile.architecture is not None
    with tempfile.TemporaryDirectory(prefix="aira-bench-") as scratch:
        folder = Path(scratch) / "checkpoint"
        wanted = gguf and fits_gguf(profile.architecture)
        file = Path(scratch) / "model.gguf" if wanted else None
        children.ask(
            WriteShape(
                profile.name, profile.architecture, str(folder), None if file is None else str(file)
            )
        )
        yield Subject(profile.name, folder, file, random=True, prepared=Path(scratch) / "prepared")


def fits_gguf(architecture: Mapping[str, Any]) -> bool:
    """Whether a GGUF file can hold the same weights: a plain Llama, groups of whole blocks."""
    if architecture.get("model_type") != "llama":
        return False
    group = awq_group_size(Path("config.json"), dict(architecture)) or _Q4_0_BLOCK
    return group % _Q4_0_BLOCK == 0 and not any(architecture.get(key) for key in _NOT_IN_GGUF)
