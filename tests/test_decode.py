"""The decode loop on tiny random models against transformers' generate, alone and together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers
from transformers import GenerationConfig

from aira_cli.engine.local.decode import Decoding
from aira_cli.engine.local.models.generic import GenericModel, KeyValueCache
from aira_cli.types import Sampling

VOCABULARY = 120
SMALL = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
         "tie_word_embeddings": False}  # fmt: skip

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "qwen2": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2},
    "gemma2": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8,
               "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 8},
    "gpt_neox": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                 "num_attention_heads": 4},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
}  # fmt: skip


def tiny_model(model_type: str) -> Any:
    """Random weights large enough that greedy text does not just repeat one token."""
    torch.manual_seed(11)
    config = transformers.AutoConfig.for_model(model_type, **ARCHITECTURES[model_type], **SMALL)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    model.generation_config.eos_token_id = None  # no row ends by itself here
    return model


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Any:
    return tiny_model(request.param)


@pytest.fixture(scope="module")
def llama() -> Any:
    return tiny_model("llama")


PROMPT = [1, 17, 33, 5, 90, 17, 61]


def decode(model: Any, sampling: Sampling, seed: int = 0, prompt: Sequence[int] = PROMPT,
           drop_at: dict[int, int] | None = None) -> list[list[int]]:  # fmt: skip
    """All rows' ids. `drop_at` ends row r after so many tokens; others at max_new_tokens."""
    step_model = GenericModel(model)
    decoding = Decoding(step_model, step_model.new_cache(), prompt, sampling, seed)
    rows: list[list[int]] = [[] for _ in range(sampling.samples)]
    limits = {r: (drop_at or {}).get(r, sampling.max_new_tokens) for r in range(len(rows))}
    for step in decoding.steps(decoding.prefill()):
        for row, token_id in zip(step.rows, step.ids, strict=True):
            rows[row].append(token_id)
            if len(rows[row]) >= limits[row]:
                decoding.drop(row)
    return rows


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_equals_generate(model: Any, penalty: float) -> None:
    ids = torch.tensor([PROMPT])
    settings = GenerationConfig(
        do_sample=False, repetition_penalty=penalty, max_new_tokens=40, eos_token_id=None,
        pad_token_id=0, bos_token_id=1,
    )  # fmt: skip
    theirs = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    ours = decode(
        model,
        Sampling(samples=1, temperature=0, repetition_penalty=penalty, max_new_tokens=40),
    )
    assert ours[0] == theirs[0, len(PROMPT) :].tolist()
    assert len(set(ours[0])) > 1  # the comparison says something


HOT = Sampling(samples=5, temperature=1.5, top_k=40, repetition_penalty=1.1, max_new_tokens=25)


def test_sample_i_alone_equals_sample_i_among_n(model: Any) -> None:
    together = decode(model, HOT, seed=100)
    assert len({tuple(row) for row in together}) == 5
    for row in range(5):
        alone = Sampling(**{**HOT.__dict__, "samples": 1})
        assert decode(model, alone, seed=100 + row)[0] == together[row]


def test_rows_that_leave_do_not_change_the_others(model: Any) -> None:
    whole = decode(model, HOT, seed=7)
    ended = decode(model, HOT, seed=7, drop_at={0: 3, 3: 1, 4: 12})
    for row, limit in {0: 3, 1: 25, 2: 25, 3: 1, 4: 12}.items():
        assert ended[row] == whole[row][:limit]


def test_all_rows_may_end_at_once(llama: Any) -> None:
    rows = decode(llama, HOT, seed=7, drop_at=dict.fromkeys(range(5), 4))
    assert [len(row) for row in rows] == [4] * 5


def test_a_rewound_cache_continues_as_a_cold_one(llama: Any) -> None:
    """Prefill, widen, step, keep one row, rewind into the prompt: the logits of a cold run."""
    step_model = GenericModel(llama)
    cache = step_model.new_cache()
    with torch.inference_mode():
        step_model.prefill(torch.tensor([PROMPT]), cache)
        cache.widen(3)
        step_model.step(torch.tensor([[4], [5], [6]]), cache)
        cache.keep([2])
        assert cache.rewind(len(PROMPT) - 2)
        ids = torch.tensor([[9, 8, 7]])
        warm = step_model.prefill(ids, cache)
        cold = llama(torch.tensor([[*PROMPT[:-2], 9, 8, 7]])).logits[:, -1]
    torch.testing.assert_close(warm, cold, atol=1e-4, rtol=1e-4)


def test_keys_and_values_are_kept_whatever_transformers_calls_them() -> None:
    for model_type in set(ARCHITECTURES) - {"mamba"}:
        assert isinstance(GenericModel(tiny_model(model_type)).new_cache(), KeyValueCache)


def test_a_windowed_cache_says_that_it_cannot_rewind() -> None:
    step_model = GenericModel(tiny_model("gemma2"))
    cache = step_model.new_cache()
    with torch.inference_mode():
        step_model.prefill(torch.tensor([PROMPT * 3]), cache)
    assert not cache.rewind(4)
