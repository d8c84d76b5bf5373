"""Whole models with packed weights: rounded at load or as stored, their logits and their memory."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import transformers
from torch import Tensor

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.checkpoints.weights import Dense, Int4
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.linear import Embedding, Linear
from aira_cli.engine.local.load import OwnDecoder, load_model
from aira_cli.engine.local.native import kernels
from tests.conftest import FIXTURES

CPU = torch.device("cpu")
BFLOAT16 = 2.0**-8  # between two neighbours, relative
Asked = Literal["stored", "dense", "int8", "int4"]


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.manual_seed(1)


MODELS: dict[str, dict[str, Any]] = {
    "llama": {"hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2},
    "bloom": {"hidden_size": 128, "n_layer": 2, "n_head": 4},
    "gpt2": {"n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 64},
}  # fmt: skip
IDS = torch.randint(0, 300, (1, 24), generator=torch.Generator().manual_seed(2))


def saved(folder: Path, model_type: str, *, tied: bool) -> Any:
    """transformers' random model, which lies in `folder` as well."""
    fields = MODELS[model_type] | {"vocab_size": 300, "tie_word_embeddings": tied}
    config = transformers.AutoConfig.for_model(model_type, **fields)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data.normal_(std=0.1)
    model.save_pretrained(folder)
    return model


def loaded(folder: Path, asked: Asked) -> OwnDecoder:
    dtype = torch.bfloat16 if kernels.active() is None else torch.float32
    model = load_model(open_checkpoint(folder), CPU, Precision(dtype, asked))
    assert isinstance(model, OwnDecoder)
    return model


def stepped(model: OwnDecoder) -> Tensor:
    """Logits of all positions, token by token: a prompt's are computed less exactly."""
    cache = model.new_cache()
    return torch.cat([model.step(token[None, None], cache) for token in IDS[0]]).float()


def round_rows(weight: Tensor) -> Tensor:
    """[N, K] to 8 bits, the largest of a row at most 127 steps of a bfloat16."""
    scale = (weight.abs().amax(1, keepdim=True).double() / 127).float()
    stored = scale.bfloat16().float()
    stored = torch.where(stored < scale, (scale * (1 + BFLOAT16 / 1.01)).bfloat16().float(), stored)
    return (weight / stored).round() * stored


def round_groups(weight: Tensor) -> Tensor:
    """[N, K] to 4 bits: 16 levels from the least to the most of 32 inputs."""
    groups = weight.view(len(weight), -1, 32)
    least, most = groups.aminmax(dim=2, keepdim=True)
    least = least.half().float()
    step = ((most - least) / 15).half().float()
    return (((groups - least) / step).round().clamp(0, 15) * step + least).view_as(weight)


def round_model(model: Any, asked: str) -> None:
    """Plain rounding of every matrix that multiplies; the vocabulary's never to 4 bits."""
    head = model.get_output_embeddings()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear | transformers.pytorch_utils.Conv1D):
            rounding = round_groups if asked == "int4" and layer is not head else round_rows
            turned = isinstance(layer, transformers.pytorch_utils.Conv1D)
            weight = layer.weight.data.T.contiguous() if turned else layer.weight.data
            rounded = rounding(weight)
            layer.weight.data.copy_(rounded.T if turned else rounded)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("asked", ["int8", "int4"])
@pytest.mark.parametrize("model_type", MODELS)
@torch.inference_mode()
def test_rounded_models(
    computing: str, tmp_path: Path, model_type: str, asked: Asked, tied: bool
) -> None:
    """Their logits are those of transformers' model with weights that were rounded here."""
    theirs = saved(tmp_path, model_type, tied=tied)
    full = theirs(IDS).logits[0]
    round_model(theirs, asked)
    expected = theirs(IDS).logits[0]
    lost = float((expected - full).norm() / full.norm())
    assert 0 < lost < {"int8": 0.05, "int4": 0.5}[asked]
    found = stepped(loaded(tmp_path, asked))
    own = float((found - expected).norm() / expected.norm())
    assert own <= (5e-4 if computing == "native" else 0.03)  # bfloat16 all the way


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("asked", ["int8", "int4", "dense"])
@torch.inference_mode()
def test_all_logits_are_those_of_prefills(
    computing: str, tmp_path: Path, model_type: str, asked: Asked
) -> None:
    saved(tmp_path, model_type, tied=True)
    model = loaded(tmp_path, asked)
    found = model.all_logits(IDS, model.new_cache())
    assert found.shape == (24, 300)
    for length in (1, 2, 17, 24):
        expected = model.prefill(IDS[:, :length], model.new_cache())[0]
        if computing == "native" and asked != "dense":
            assert torch.equal(found[length - 1], expected)
        near = 1e-5 if computing == "native" else 0.03
        assert (found[length - 1] - expected).abs().max() <= near * expected.abs().max()


def tensor_bytes() -> int:
    """Of all tensors that are alive, memory that several share counted once."""
    gc.collect()
    tensors = [t for t in gc.get_objects() if issubclass(type(t), Tensor) and not t.is_meta]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


#: What a weight of a layer takes: its bits, and its share of a scale and a minimum.
BYTES = {("native", "int8"): 1.04, ("torch", "int8"): 1.02,
         ("native", "int4"): 0.63, ("torch", "int4"): 0.76}  # fmt: skip


@pytest.mark.parametrize("asked", ["int8", "int4"])
@pytest.mark.parametrize("model_type", MODELS)
def test_no_full_precision_copy_is_left(
    computing: str, tmp_path: Path, model_type: str, asked: Asked
) -> None:
    """Tied embeddings are one matrix, of 8 bits; each layer's weight is there once, packed."""
    shapes = {
        name: p.shape for name, p in saved(tmp_path, model_type, tied=True).named_parameters()
    }
    vocabulary = 300 * 128
    kept = sum(shape.numel() for name, shape in shapes.items() if len(shape) == 1 or "wpe" in name)
    packed = sum(shape.numel() for shape in shapes.values()) - kept - vocabulary
    before = tensor_bytes()
    model = loaded(tmp_path, asked)
    taken = tensor_bytes() - before
    assert taken <= BYTES[computing, asked] * packed + 1.11 * vocabulary + 4 * kept
    matrices = [m.weight for m in model._model.modules() if isinstance(m, Linear | Embedding)]
    assert len({id(matrix) for matrix in matrices}) == len(matrices) - 1


def test_awq_stays_packed(computing: str) -> None:
    weights = dict(open_checkpoint(FIXTURES / "llama-tiny-awq").weights())
    packed = sum(w.q.numel() for w in weights.values() if isinstance(w, Int4))
    others = sum(w.tensor.numel() for w in weights.values() if isinstance(w, Dense))
    del weights
    before = tensor_bytes()
    model = loaded(FIXTURES / "llama-tiny-awq", "stored")
    assert tensor_bytes() - before <= 0.57 * packed + 2.1 * others  # float16 and bfloat16 stay
    assert model is not None
