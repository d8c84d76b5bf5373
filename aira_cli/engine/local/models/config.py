"""Reading a config.json for a decoder of ours: everything in it is known, or it is not ours.

A key that changes the mathematics is either a field of the decoder's Config or has a value
under which it changes nothing. Where neither holds, the checkpoint goes to `generic.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

Config = TypeVar("Config")

#: Tensors that older releases of transformers saved and that models now compute for themselves.
OLD_TABLES = re.compile(r"rotary_emb\.inv_freq$|attn\.(masked_)?bias$|position_ids$")

# Keys that say something about training, files or other programs, whatever their value.
NEUTRAL = {
    "_name_or_path", "architectures", "attention_dropout", "attn_pdrop", "auto_map",
    "bos_token_id", "dtype", "embd_pdrop", "eos_token_id", "gradient_checkpointing",
    "hidden_dropout", "initializer_range", "masked_softmax_fusion", "model_type", "pad_token_id",
    "quantization_config", "resid_pdrop", "return_dict", "sep_token_id", "skip_bias_add",
    "skip_bias_add_qkv", "task_specific_params", "torch_dtype", "transformers_version",
    "unk_token_id", "use_cache",
}  # fmt: skip


def read_config(
    kind: type[Config],
    config: Mapping[str, Any],
    aliases: Mapping[str, str],
    fixed: Mapping[str, tuple[Any, ...]],
) -> Config | None:
    """`config` as a `kind`, or None where it holds something the decoder does not do.

    `aliases` maps other names of a field to its own; `fixed` gives the values that a further
    key may have. A field without a default must be there.
    """
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in config.items():
        name = aliases.get(key, key)
        if name in names:
            if value is not None:
                values[name] = value
        elif key in fixed:
            if value not in fixed[key]:
                return None
        elif key not in NEUTRAL and not key.startswith("summary_"):
            return None
    needed = {f.name for f in fields(kind) if f.default is MISSING}  # type: ignore[arg-type]
    return kind(**values) if needed <= values.keys() else None
