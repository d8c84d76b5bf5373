"""The random Llama of `shapes` as a GGUF file, with the very same weights, for llama.cpp.

Layers in 4 bits become Q4_0, matrices in float16 stay so, norms are float32 as llama.cpp wants
them. The vocabulary's pieces are made up: only ids go in and come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.constants import GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray

from aira_cli.bench.random_weights import Quantized, RandomWeights, q4_0_blocks
from aira_cli.bench.shapes import Slot
from aira_cli.checkpoints.gguf_llama import BLOCK_NAMES, NAMES

_SPECIAL = (b"<unk>", b"<s>", b"</s>")
_PARTS = {theirs: ours for ours, theirs in (NAMES | BLOCK_NAMES).items()}


@dataclass(frozen=True)
class Heads:
    """How many heads the rows of q and of k belong to."""

    query: int
    key: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Heads:
        query = int(config["num_attention_heads"])
        return cls(query, int(config.get("num_key_value_heads") or query))

    def of_tensor(self, name: str) -> int | None:
        """None for a tensor whose rows stay where they are."""
        part = name.split(".")[-2]
        return {"attn_q": self.query, "attn_k": self.key}.get(part)


def write_gguf(path: Path, config: Mapping[str, Any], slots: Sequence[Slot]) -> None:
    """Writes the file, a tensor at a time."""
    writer = gguf.GGUFWriter(path, "llama")
    heads = Heads.of(config)
    _write_config(writer, config, heads)
    in_4_bits = any(slot.group for slot in slots)
    kind = LlamaFileType.MOSTLY_Q4_0 if in_4_bits else LlamaFileType.MOSTLY_F16
    writer.add_file_type(kind)
    _write_vocabulary(writer, int(config["vocab_size"]))
    for slot in slots:
        writer.add_tensor_info(_name(slot.name), *_kind(slot))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in _tensors(slots, heads):
        writer.write_tensor_data(tensor)
    writer.close()


def _write_config(writer: gguf.GGUFWriter, config: Mapping[str, Any], heads: Heads) -> None:
    size = int(config.get("head_dim") or config["hidden_size"] // heads.query)
    writer.add_context_length(config.get("max_position_embeddings", 2048))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads.query)
    writer.add_head_count_kv(heads.key)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(config.get("rope_theta", 10000.0))
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-6))
    writer.add_vocab_size(config["vocab_size"])


def _write_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    pieces = [*_SPECIAL, *(f"t{number}".encode() for number in range(len(_SPECIAL), size))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores([0.0] * size)
    writer.add_token_types([*kinds, *[gguf.TokenType.NORMAL] * (size - len(kinds))])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _name(name: str) -> str:
    """GGUF's name of transformers' `name`, as "model.layers.0.self_attn.q_proj.weight"."""
    path, _, kind = name.rpartition(".")
    if path in _PARTS:
        return f"{_PARTS[path]}.{kind}"
    layer, _, part = path.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{_PARTS[part]}.{kind}"


def _kind(slot: Slot) -> tuple[Sequence[int], Any, int, GGMLQuantizationType]:
    """What `add_tensor_info` wants: shape, numpy type, bytes, GGUF's type."""
    count = int(np.prod(slot.shape))
    if slot.group is not None:
        dtype = GGMLQuantizationType.Q4_0
        return slot.shape, np.dtype(np.int8), count // 32 * 18, dtype
    if len(slot.shape) == 1:
        return slot.shape, np.dtype(np.float32), 4 * count, GGMLQuantizationType.F32
    return slot.shape, np.dtype(np.float16), 2 * count, GGMLQuantizationType.F16


def _tensors(slots: Sequence[Slot], heads: Heads) -> Iterator[NDArray[Any]]:
    weights = RandomWeights()
    for slot in slots:
        rotated = heads.of_tensor(_name(slot.name))
        if slot.group is not None:
            layer = weights.quantized(slot.number, slot.shape, slot.group)
            yield q4_0_blocks(_reordered(layer, rotated))
            continue
        dense = np.concatenate(list(weights.dense(slot.name, slot.number, slot.shape)))
        dense = dense.reshape(slot.shape)
        yield dense.astype(np.float32) if dense.ndim == 1 else _rotary_order(dense, rotated)


def _reordered(layer: Quantized, heads: int | None) -> Quantized:
    return Quantized(_rotary_order(layer.q, heads), _rotary_order(layer.scale, heads))


def _rotary_order(rows: NDArray[Any], heads: int | None) -> NDArray[Any]:
    """The rows of each head with its two halves interleaved: llama.cpp rotates neighbours."""
    if heads is None:
        return rows
    halves = rows.reshape(heads, 2, -1, rows.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)
