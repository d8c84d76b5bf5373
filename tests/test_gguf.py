"""GGUF against the `gguf` package's reader, writer and dequantizer, and llama.cpp's row order."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from aira_cli.checkpoints.gguf_blocks import weight_from_bytes
from aira_cli.checkpoints.gguf_file import read_gguf, read_gguf_fields
from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.checkpoints.weights import Dense, Int4, Int8
from aira_cli.engine.local.models.generic import load_transformers_model
from aira_cli.environment import LANGUAGES
from aira_cli.errors import CheckpointError
from aira_cli.i18n import translator

CPU = torch.device("cpu")
TINY: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


class QuickReader(gguf.GGUFReader):
    """The package's reader on a plain array: slicing a np.memmap takes more than half its time."""

    @property
    def data(self) -> Any:
        return self._data

    @data.setter
    def data(self, mapped: Any) -> None:
        self._data = np.asarray(mapped)


@pytest.fixture(scope="module")
def reader(embedded_gguf: Path) -> gguf.GGUFReader:
    return QuickReader(embedded_gguf)


def permute(weights: np.ndarray, heads: int) -> np.ndarray:
    """LlamaModel.permute of llama.cpp's convert_hf_to_gguf.py."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def heads_of(name: str, config: dict[str, Any]) -> int:
    """How many heads' rows the converter permutes in this tensor; 1 block of 2 rows: none."""
    if "attn_q." in name:
        return int(config["num_attention_heads"])
    return int(config["num_key_value_heads"]) if "attn_k." in name else 0


def write_llama(
    path: Path,
    model: LlamaForCausalLM,
    kind: Kind = Kind.F32,
    change: Callable[[gguf.GGUFWriter], None] | None = None,
    endian: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE,
) -> Path:
    """What llama.cpp's converter writes for `model`; matrices in `kind`, the rest in F32."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama", endianess=endian)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"piece {i}" for i in range(config.vocab_size)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if not (tied and name == "lm_head.weight"):
            add(writer, names.get_name(name, (".weight", ".bias")), tensor.numpy(), config, kind)
    if change is not None:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add(
    writer: gguf.GGUFWriter, name: str, weights: np.ndarray, config: LlamaConfig, kind: Kind
) -> None:
    heads = heads_of(name, config.to_dict())
    weights = permute(weights, heads) if heads else weights
    if weights.ndim == 1:
        writer.add_tensor(name, weights)
    else:
        writer.add_tensor(name, gguf.quants.quantize(weights, kind), raw_dtype=kind)


def random_llama(**changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(5)
    model = LlamaForCausalLM(LlamaConfig(**(TINY | changes))).eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:  # norms start at ones and biases at zeros, which hides mistakes
            parameter.data.normal_(1.0 if "norm" in name else 0.0, 0.2)
    return model


def reloaded(path: Path) -> LlamaForCausalLM:
    model: LlamaForCausalLM = load_transformers_model(open_checkpoint(path), CPU, torch.float32)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": True},
        {"tie_word_embeddings": False, "rope_theta": 500000.0},
        {"rope_theta": 500000.0, "rope_scaling": LLAMA3, "head_dim": 64},
        {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
        {"attention_bias": True, "mlp_bias": True, "head_dim": 16},
    ],
    ids=["tied", "untied", "llama3", "linear", "biases"],
)
@torch.no_grad()
def test_a_written_llama_comes_back_with_its_logits(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    model = random_llama(**changes)
    rope = model.config.rope_parameters
    rotary = model.model.rotary_emb

    def add_scaling(writer: gguf.GGUFWriter) -> None:
        if rope["rope_type"] == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope["factor"])
        if rope["rope_type"] == "llama3":
            plain = rotary.compute_default_rope_parameters(model.config)[0]
            writer.add_tensor("rope_freqs.weight", (plain / rotary.inv_freq).numpy())

    found = reloaded(write_llama(tmp_path / "model.gguf", model, change=add_scaling))
    ids = torch.randint(0, 64, (1, 200))
    assert torch.equal(found(ids).logits, model(ids).logits)


@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1])
def test_blocks_dequantize_as_the_package_does(kind: Kind) -> None:
    random = np.random.default_rng(3)
    scales = 10.0 ** random.uniform(-4, 2, (48, 4, 1))  # per block, over most of float16's range
    weights = (random.standard_normal((48, 4, 32)) * scales).reshape(48, 128).astype(np.float32)
    weights[:, :32] = 0
    packed = gguf.quants.quantize(weights, kind)
    raw = torch.from_numpy(packed.view(np.uint8).reshape(-1).copy())
    record = weight_from_bytes(raw, kind, (48, 128))
    assert record.shape == (48, 128)
    expected = gguf.quants.dequantize(packed, kind)
    assert np.array_equal(record.dense(torch.float32).numpy(), expected)


def test_the_embedded_model_s_header_is_the_package_reader_s(
    embedded_gguf: Path, reader: gguf.GGUFReader
) -> None:
    file = read_gguf(embedded_gguf)
    counts = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count")
    expected = {key: field.contents() for key, field in reader.fields.items() if key not in counts}
    assert file.fields == expected == read_gguf_fields(embedded_gguf)
    assert list(file.tensors) == [tensor.name for tensor in reader.tensors]
    for tensor in reader.tensors:
        found = file.tensors[tensor.name]
        assert found.kind == tensor.tensor_type
        assert found.shape == tuple(reversed(tensor.shape.tolist()))
        assert (found.offset, found.nbytes) == (tensor.data_offset, tensor.n_bytes)


def test_the_tensors_of_the_embedded_model(embedded_gguf: Path, reader: gguf.GGUFReader) -> None:
    checkpoint = open_checkpoint(embedded_gguf)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 30)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    for name, weight in checkpoint.weights():
        tensor = stored.pop(names.get_name(name, (".weight",)))
        if name.startswith("model.layers.") and ".29." not in name:
            continue  # the package needs 14 s for all of them
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        found = weight.dense(torch.float32).numpy()
        heads = heads_of(tensor.name, checkpoint.config)
        assert np.array_equal(permute(found, heads) if heads else found, expected), name
        assert (
            type(weight) is {Kind.F32: Dense, Kind.Q4_1: Int4, Kind.Q8_0: Int8}[tensor.tensor_type]
        )
    assert not stored


def test_the_embedded_model_s_configuration(embedded_gguf: Path) -> None:
    checkpoint = open_checkpoint(embedded_gguf)
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**checkpoint.config))
    assert sum(parameter.numel() for parameter in model.parameters()) == 134515008
    fixed = {"max_position_embeddings": 8192, "rope_theta": 100000.0, "num_key_value_heads": 3}
    assert checkpoint.config.items() >= fixed.items()
    fields = checkpoint.tokenizer_fields
    assert fields is not None
    assert all(key.startswith("tokenizer.") for key in fields)
    assert fields["tokenizer.ggml.tokens"][2] == "<|im_end|>"
    assert checkpoint.nbytes == embedded_gguf.stat().st_size


def test_opening_does_not_import_torch(embedded_gguf: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from aira_cli.checkpoints.open import open_checkpoint;"
        "[open_checkpoint(Path(path)) for path in sys.argv[1:]];"
        "sys.exit('torch' in sys.modules)"
    )
    folder = Path(__file__).parent / "fixtures" / "llama-tiny-awq"
    done = subprocess.run([sys.executable, "-c", code, str(embedded_gguf), str(folder)])
    assert done.returncode == 0


def set_key(key: str, value: Any) -> Callable[[gguf.GGUFWriter], None]:
    def change(writer: gguf.GGUFWriter) -> None:
        for keys in writer.kv_data:
            keys.pop(key, None)
        add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add[type(value)](key, value)

    return change


def extra_tensor(name: str, kind: Kind = Kind.F32) -> Callable[[gguf.GGUFWriter], None]:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.zeros((1, 256 // block * size), np.uint8) if block > 1 else np.ones(2, np.float32)
    return lambda writer: writer.add_tensor(name, blocks, raw_dtype=kind)


@pytest.mark.parametrize(
    ("change", "key", "field"),
    [
        (set_key("general.architecture", "qwen2"), "gguf_architecture", "qwen2"),
        (set_key("split.count", 3), "gguf_split", 3),
        (set_key("llama.expert_count", 8), "gguf_key_unsupported", "llama.expert_count"),
        (set_key("llama.rope.scaling.type", "yarn"), "gguf_key_unsupported", "yarn"),
        (set_key("llama.rope.dimension_count", 16), "gguf_key_unsupported", 16),
        (set_key("llama.block_count", "two"), "gguf_key_invalid", "llama.block_count"),
        (set_key("llama.attention.head_count", 0), "gguf_key_invalid", 0),
        (set_key("llama.attention.head_count_kv", 1), "tensor_shape_mismatch", [32, 128]),
        (set_key("general.alignment", 24), "gguf_damaged", "general.alignment"),
        (extra_tensor("blk.0.attn_q.scale"), "gguf_tensor_unknown", "blk.0.attn_q.scale"),
        (extra_tensor("rope_freqs.weight"), "gguf_tensor_unknown", "rope_freqs.weight"),
        (extra_tensor("output.weight", Kind.Q6_K), "gguf_type", "Q6_K"),
        (extra_tensor("blk.2.attn_norm.weight"), "tensor_unexpected", "model.layers.2"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    tmp_path: Path, change: Callable[[gguf.GGUFWriter], None], key: str, field: Any
) -> None:
    path = write_llama(tmp_path / "m.gguf", random_llama(tie_word_embeddings=True), change=change)
    with pytest.raises(CheckpointError) as caught:
        reloaded(path)
    assert caught.value.key == key
    for language in LANGUAGES:
        assert str(path) in translator(language)(f"error.{key}", **caught.value.fields)
    assert any(str(value).startswith(str(field)) for value in caught.value.fields.values())


def test_a_big_endian_file_is_refused_by_name(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf", random_llama(), endian=gguf.GGUFEndian.BIG)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    assert caught.value.key == "gguf_big_endian"


@pytest.mark.parametrize(
    ("head", "key"),
    [
        (b"", "gguf_not"),
        (b"GGUF", "gguf_truncated"),
        (b"ggjt" + bytes(40), "gguf_not"),
        (b"GGUF\1\0\0\0" + bytes(40), "gguf_version"),
        (b"GGUF\3\0\0\0" + b"\xff" * 40, "gguf_truncated"),
    ],
)
def test_what_is_no_gguf(tmp_path: Path, head: bytes, key: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(head)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    assert caught.value.key == key


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    return write_llama(path, random_llama(), Kind.Q4_1).read_bytes()


BRIEF = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@BRIEF
@given(data=st.data())
def test_any_prefix_is_refused(tmp_path: Path, tiny_file: bytes, data: st.DataObject) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_file[: data.draw(st.integers(0, len(tiny_file) - 33))])
    with pytest.raises(CheckpointError):
        open_checkpoint(path)


@BRIEF
@given(data=st.data())
def test_damage_in_the_header_is_survived_or_refused(
    tmp_path: Path, tiny_file: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(tiny_file)
    for at in data.draw(st.lists(st.integers(0, 5000), min_size=1, max_size=4)):
        damaged[at] = data.draw(st.sampled_from([0, 1, 8, 9, 127, 255]))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    try:
        for _, weight in open_checkpoint(path).weights():
            assert weight.dense(torch.float32).dtype == torch.float32
    except CheckpointError as error:
        assert error.fields["path"] == path


def test_a_cut_embedded_model_is_refused(embedded_gguf: Path, tmp_path: Path) -> None:
    whole = embedded_gguf.read_bytes()
    path = tmp_path / "cut.gguf"
    for length in (len(whole) - 1, len(whole) // 2, 1_800_000, 1_000_000, 24, 5):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(path)
        assert caught.value.key == "gguf_truncated"
