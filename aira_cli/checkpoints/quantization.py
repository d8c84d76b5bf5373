"""Reads a configuration's `quantization_config`: none, AWQ GEMM in 4 bits, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aira_cli.errors import CheckpointError

WHOLE_INPUT = -1  # AutoAWQ's group size for one group over all of a layer's inputs


def awq_group_size(path: Path, config: dict[str, Any]) -> int | None:
    """The group size of an AWQ GEMM checkpoint, None where nothing is quantized.

    AutoAWQ's GEMM form cannot be written without zero points (its packer asserts them), so
    `zero_point` false is refused with the other versions and bit widths.
    """
    declared = config.get("quantization_config")
    if declared is None:
        return None
    method = declared.get("quant_method") if isinstance(declared, dict) else declared
    if method != "awq":
        raise CheckpointError("quantization_unsupported", path=path, method=method)
    version = str(declared.get("version", declared.get("format", "gemm"))).lower()
    _only(path, "version", version, "gemm")
    _only(path, "bits", declared.get("bits", declared.get("w_bit", 4)), 4)
    _only(path, "zero_point", declared.get("zero_point", True), True)
    group_size = declared.get("group_size", declared.get("q_group_size", 128))
    if not isinstance(group_size, int) or (group_size < 1 and group_size != WHOLE_INPUT):
        _only(path, "group_size", group_size, 128)
    return int(group_size)


def _only(path: Path, field: str, value: object, supported: object) -> None:
    if value != supported:
        raise CheckpointError(
            "awq_unsupported", path=path, field=field, value=value, supported=supported
        )
