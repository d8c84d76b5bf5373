"""A GGUF file of the Llama architecture as a checkpoint: transformers' names and configuration.

llama.cpp's converter (LlamaModel in convert_hf_to_gguf.py) is undone here: names, the order of
the q and k rows, and Llama 3's rope factors, which it keeps as a tensor. Metadata that changes
the mathematics and has no counterpart in transformers' LlamaConfig is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aira_cli.checkpoints.forms import Form, dense_form
from aira_cli.checkpoints.gguf_config import ROPE_FACTORS, llama_config
from aira_cli.checkpoints.gguf_file import GgufFile, GgufTensor, read_gguf
from aira_cli.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from aira_cli.checkpoints.weights import Weight

NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_PACKED_BITS = {"Q8_0": 8, "Q4_0": 4, "Q4_1": 4}
_GROUP = 32  # weights of a block, which share a scale
HEADS = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}


@dataclass(frozen=True)
class GgufLlama:
    """An opened file; `names` maps each of its tensors to transformers' name."""

    path: Path
    config: dict[str, Any]
    gguf: GgufFile
    names: dict[str, str]
    generation: dict[str, Any] = field(default_factory=dict, init=False)

    @classmethod
    def open(cls, path: Path) -> GgufLlama:
        """Raises CheckpointError for what is damaged, or not Llama as transformers knows it."""
        file = read_gguf(path)
        architecture = file.fields.get("general.architecture")
        if architecture != "llama":
            raise CheckpointError("gguf_architecture", path=path, found=architecture)
        config = llama_config(file)
        names = {name: _name(path, name) for name in file.tensors if name != ROPE_FACTORS}
        return cls(path, config, file, names)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def nbytes(self) -> int:
        return self.path.stat().st_size

    @property
    def tokenizer_fields(self) -> dict[str, Any]:
        fields = self.gguf.fields
        return {key: value for key, value in fields.items() if key.startswith("tokenizer.")}

    def forms(self) -> dict[str, Form]:
        """See `Checkpoint`."""
        return {target: _form(self.gguf.tensors[name]) for name, target in self.names.items()}

    def weights(self) -> Iterator[tuple[str, Weight]]:
        """Each tensor in the file's order, the rows of q and k in transformers' order."""
        # torch is imported here and not above: opening a checkpoint must not cost its two seconds
        import torch

        from aira_cli.checkpoints.gguf_blocks import weight_from_bytes

        # Copy on write: torch wants a writable array, and the file stays as it is.
        mapped = np.memmap(self.path, mode="c")
        for name, target in self.names.items():
            tensor = self.gguf.tensors[name]
            raw = torch.from_numpy(mapped[tensor.offset : tensor.offset + tensor.nbytes])
            weight = weight_from_bytes(raw, tensor.kind, tensor.shape)
            heads = self._rotated_heads(name, tensor)
            yield target, weight.take_rows(rotary_rows(tensor.shape[0], heads)) if heads else weight

    def _rotated_heads(self, name: str, tensor: GgufTensor) -> int:
        """How many heads the rows of a q or k tensor belong to; 0 for all others."""
        part = name.split(".")[-2]
        if part not in HEADS:
            return 0
        heads: int = self.config[HEADS[part]]
        rows = heads * self.config["head_dim"]
        if tensor.shape[0] != rows:
            raise CheckpointError(
                "tensor_shape_mismatch",
                path=self.path,
                name=self.names[name],
                expected=[rows, *tensor.shape[1:]],
                found=list(tensor.shape),
            )
        return heads


def rotary_rows(rows: int, heads: int) -> Tensor:
    """Which row of a GGUF q or k is each row of transformers'; int64 [rows].

    llama.cpp rotates neighbours (2j, 2j + 1) of a head, transformers the halves (j, j + D/2).
    """
    import torch

    return torch.arange(rows).view(heads, -1, 2).transpose(1, 2).reshape(-1)  # heads D/2 2


def _form(tensor: GgufTensor) -> Form:
    bits = _PACKED_BITS.get(tensor.kind.name)
    if bits is None:
        return dense_form(tensor.shape, tensor.nbytes)
    return Form(tensor.shape, bits, _GROUP)


def _name(path: Path, name: str) -> str:
    """transformers' name of the GGUF tensor `name`, as "blk.0.attn_q.weight"."""
    match name.split("."):
        case [part, kind] if part in NAMES and kind in ("weight", "bias"):
            return f"{NAMES[part]}.{kind}"
        case ["blk", layer, part, kind] if part in BLOCK_NAMES and kind in ("weight", "bias"):
            return f"model.layers.{layer}.{BLOCK_NAMES[part]}.{kind}"
    raise CheckpointError("gguf_tensor_unknown", path=path, name=name)
