"""PEFT's adapter_config.json of a LoRA adapter: the rank and the scale of each layer's product.

A key that is not known here and says something changes what the adapter computes, so it is
refused by name. Which tensors there are and what they are added to is left to `adapter`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aira_cli.checkpoints.safetensors_folder import read_json
from aira_cli.errors import CheckpointError

# Read below, or about training, files and other programs. Which layers are adapted is told by
# the tensors; whether a layer is stored transposed by the model, as in PEFT, not by the flag.
_KNOWN = {
    "alpha_pattern", "auto_mapping", "base_model_class", "base_model_name_or_path", "eva_config",
    "exclude_modules", "fan_in_fan_out", "inference_mode", "layers_pattern",
    "layers_to_transform", "lora_alpha", "lora_dropout", "megatron_config", "megatron_core",
    "parent_library", "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern",
    "revision", "runtime_config", "target_modules", "task_type", "use_rslora",
}  # fmt: skip

#: Words that change nothing under these keys; the other starts change the base's weights too.
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "bias": ("none",),
    "init_lora_weights": (True, "gaussian", "eva", "orthogonal"),
}


@dataclass(frozen=True)
class LoraConfig:
    """What is added to a layer's weight is scale · B A, with B and A of this rank.

    `ranks` and `alphas` are regular expressions for the layers that differ from the rest.
    """

    path: Path
    r: int
    alpha: float
    stabilized: bool
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]
    made_for: str | None

    @classmethod
    def read(cls, path: Path) -> LoraConfig:
        """Raises CheckpointError for another kind of adapter and for what is not done here."""
        config = read_json(path)
        kind = config.get("peft_type")
        if kind != "LORA":
            raise CheckpointError("adapter_kind", path=path, found=kind)
        for key, value in config.items():
            if value and key not in _KNOWN and value not in _HARMLESS.get(key, ()):
                raise CheckpointError("adapter_key", path=path, field=key, value=value)
        patterns = {key: config.get(key) or {} for key in ("rank_pattern", "alpha_pattern")}
        for key, pattern in patterns.items():
            _check_pattern(path, key, pattern)
        ranks = patterns["rank_pattern"]
        for rank in (config.get("r"), *ranks.values()):
            if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
                raise _invalid(path, "r", rank)
        alphas = patterns["alpha_pattern"]
        for alpha in (config.get("lora_alpha"), *alphas.values()):
            if not isinstance(alpha, int | float) or not math.isfinite(alpha):
                raise _invalid(path, "lora_alpha", alpha)
        return cls(
            path, config["r"], config["lora_alpha"], bool(config.get("use_rslora")),
            ranks, alphas, config.get("base_model_name_or_path"),
        )  # fmt: skip

    def rank(self, layer: str) -> int:
        """The inner size of the product for the `layer`, a path of modules."""
        return next((r for key, r in self.ranks.items() if _names(key, layer)), self.r)

    def scale(self, layer: str) -> float:
        """alpha / r (Hu et al. 2021), or alpha / √r (rsLoRA, Kalajdzievski 2023)."""
        alpha = next((a for key, a in self.alphas.items() if _names(key, layer)), self.alpha)
        rank = self.rank(layer)
        return alpha / (math.sqrt(rank) if self.stabilized else rank)


def _names(key: str, layer: str) -> bool:
    """Whether a pattern's key, as PEFT reads it, means the end of the layer's path."""
    return re.match(rf"(.*\.)?({key})$", layer) is not None


def _check_pattern(path: Path, key: str, pattern: Any) -> None:
    if not isinstance(pattern, dict):
        raise _invalid(path, key, pattern)
    for expression in pattern:
        try:
            re.compile(expression)
        except re.error as error:
            raise _invalid(path, key, expression) from error


def _invalid(path: Path, field: str, value: object) -> CheckpointError:
    return CheckpointError("adapter_config_invalid", path=path, field=field, value=value)
