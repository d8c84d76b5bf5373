"""GGUF metadata of a Llama model → the config.json transformers would have beside its weights.

A "llama.*" key that is not known here and is not zero changes the mathematics in a way that
would be ignored, so it is refused by name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType

from aira_cli.checkpoints.gguf_file import GgufFile
from aira_cli.errors import CheckpointError

ROPE_FACTORS = "rope_freqs.weight"
DEFAULT_ROPE_THETA = 10000.0  # llama.cpp's, for files without the key

#: Read below, or a record of how the file came to be.
KNOWN_KEYS = {
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "vocab_size",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "attention.causal",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "tensor_data_layout",
}


def llama_config(file: GgufFile) -> dict[str, Any]:
    """The config.json of `file`, in the field names that old and new transformers accept."""
    _refuse_unknown(file)
    hidden = _integer(file, "embedding_length")
    heads, kv_heads = _heads(file, hidden)
    head_dim = _head_dim(file, hidden // heads)
    theta = _number(file, "rope.freq_base", DEFAULT_ROPE_THETA)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": _integer(file, "feed_forward_length"),
        "num_hidden_layers": _integer(file, "block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "vocab_size": _vocabulary(file, hidden),
        "max_position_embeddings": _integer(file, "context_length"),
        "rms_norm_eps": _number(file, "attention.layer_norm_rms_epsilon"),
        "rope_theta": theta,
        "rope_scaling": _linear_scaling(file) or _llama3_scaling(file, theta, head_dim),
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in file.tensors,
        **_special_ids(file),
    }


def _refuse_unknown(file: GgufFile) -> None:
    if file.fields.get("split.count"):
        raise CheckpointError("gguf_split", path=file.path, count=file.fields["split.count"])
    for key, value in file.fields.items():
        prefix, _, name = key.partition(".")
        if prefix == "llama" and name not in KNOWN_KEYS and value:
            raise CheckpointError("gguf_key_unsupported", path=file.path, field=key, value=value)


def _invalid(file: GgufFile, name: str, value: object) -> CheckpointError:
    return CheckpointError("gguf_key_invalid", path=file.path, field=f"llama.{name}", value=value)


def _number(file: GgufFile, name: str, default: float | None = None) -> float:
    value = file.fields.get(f"llama.{name}", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _invalid(file, name, value)
    return value


def _integer(file: GgufFile, name: str, default: int | None = None) -> int:
    value = _number(file, name, default)
    if not isinstance(value, int):
        raise _invalid(file, name, value)
    return value


def _heads(file: GgufFile, hidden: int) -> tuple[int, int]:
    """The numbers of query heads and of key and value heads; the latter divides the former."""
    heads = _integer(file, "attention.head_count")
    if hidden % heads:
        raise _invalid(file, "attention.head_count", heads)
    kv_heads = _integer(file, "attention.head_count_kv", heads)
    if heads % kv_heads:
        raise _invalid(file, "attention.head_count_kv", kv_heads)
    return heads, kv_heads


def _head_dim(file: GgufFile, default: int) -> int:
    """The head size; keys, values and rotation must agree on it, as in transformers' Llama."""
    head_dim = _integer(file, "attention.key_length", default)
    if head_dim % 2:
        raise _invalid(file, "attention.key_length", head_dim)
    for name in ("attention.value_length", "rope.dimension_count"):
        value = _integer(file, name, head_dim)
        if value != head_dim:
            key = f"llama.{name}"
            raise CheckpointError("gguf_key_unsupported", path=file.path, field=key, value=value)
    return head_dim


def _vocabulary(file: GgufFile, hidden: int) -> int:
    """The number of embeddings: the metadata's own number of pieces is often left out."""
    embeddings = file.tensors.get("token_embd.weight")
    if embeddings is None:
        raise CheckpointError("tensor_missing", path=file.path, name="token_embd.weight")
    if embeddings.shape[1:] != (hidden,):
        raise _invalid(file, "embedding_length", hidden)
    return embeddings.shape[0]


def _special_ids(file: GgufFile) -> dict[str, Any]:
    """bos, eos and pad; where turns end with an own token ("eot"), eos is the list of both."""
    fields = file.fields
    bos, eos, eot, pad = (
        fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "eot", "padding")
    )
    ends = [eos, eot] if eot not in (None, eos) else eos
    return {"bos_token_id": bos, "eos_token_id": ends, "pad_token_id": pad}


def _linear_scaling(file: GgufFile) -> dict[str, Any] | None:
    """Linear rope scaling, which is what llama.cpp takes a factor without a type for."""
    key = "llama.rope.scaling.type"
    kind = file.fields.get(key, "linear")
    if kind not in ("none", "linear"):
        raise CheckpointError("gguf_key_unsupported", path=file.path, field=key, value=kind)
    factor = _number(file, "rope.scaling.factor", _number(file, "rope.scale_linear", 1.0))
    if kind == "none" or factor == 1:
        return None
    return {"rope_type": "linear", "factor": factor}


def _llama3_scaling(file: GgufFile, theta: float, head_dim: int) -> dict[str, Any] | None:
    """Llama 3's scaling from the divisors the converter computed of it, if they are these."""
    tensor = file.tensors.get(ROPE_FACTORS)
    if tensor is None:
        return None
    if (tensor.kind, tensor.shape) != (GGMLQuantizationType.F32, (head_dim // 2,)):
        raise CheckpointError("gguf_tensor_unknown", path=file.path, name=ROPE_FACTORS)
    divisors = np.fromfile(file.path, "<f4", head_dim // 2, offset=tensor.offset)
    factor = float(divisors.max())
    if not np.allclose(divisors, _llama3_divisors(theta, head_dim, factor), rtol=1e-4):
        raise CheckpointError("gguf_tensor_unknown", path=file.path, name=ROPE_FACTORS)
    if factor == 1:
        return None
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


def _llama3_divisors(theta: float, head_dim: int, factor: float) -> Any:
    """By how much Llama 3.1 divides each rotary frequency, float64 [head_dim / 2].

    Wavelengths up to a quarter of the 8192 positions it was first trained on stay, those
    beyond all of them are divided by `factor`, between them the frequency is interpolated.
    """
    wavelength = 2 * np.pi * theta ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((8192 / wavelength - 1.0) / (4.0 - 1.0), 0, 1)
    return 1 / ((1 - smooth) / factor + smooth)
