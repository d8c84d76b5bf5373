"""Our decoder on the embedded model's real weights: 200 greedy tokens and their logits.

The oracle is transformers' Llama with the same weights, dequantized (`test_gguf` compares those
with the gguf package's). It reads the whole text at once: if each token of ours is the best one
behind those before it, they are what its `generate` would give, twenty times slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.load import PRECISE, load_model
from aira_cli.engine.local.models.generic import load_transformers_model
from aira_cli.engine.local.models.step import StepModel
from aira_cli.engine.local.native import kernels
from aira_cli.prompts.tokenizer import tokenizer_from_gguf

CPU = torch.device("cpu")
TOKENS = 200
TEXT = (
    "A teacher in a small town near the sea has a class of ten children. They like to ask about "
    "the weather, the stars, the animals and the plants, and she answers each of them with "
    "patience. Today a girl asks: Why is the sky blue during the day and red in the evening? "
    "Explain it to a child."
)  # longer than what is read precisely


@dataclass(frozen=True)
class Text:
    """A prompt [1, T] and our greedy answer [200], with transformers' logits of it [200, V]."""

    prompt: Tensor
    answer: Tensor
    logits: Tensor


@pytest.fixture(scope="module", autouse=True)
def native(kernels_folder: Path) -> Iterator[None]:
    kernels.activate(kernels_folder)
    with torch.inference_mode():
        yield
    kernels.deactivate()


def greedy(model: StepModel, prompt: Tensor) -> Tensor:
    cache = model.new_cache()
    logits, ids = model.prefill(prompt, cache), []
    for _ in range(TOKENS):
        ids.append(logits.argmax())
        logits = model.step(ids[-1].view(1, 1), cache)
    return torch.stack(ids)


@pytest.fixture(scope="module")
def text(native: None, embedded_gguf: Path) -> Text:
    """Written by our decoder in float32, judged by transformers."""
    checkpoint = open_checkpoint(embedded_gguf)
    assert checkpoint.tokenizer_fields is not None
    tokenizer = tokenizer_from_gguf(checkpoint.tokenizer_fields)
    prompt = torch.tensor([tokenizer.encode_text(TEXT, first=True)])
    answer = greedy(load_model(checkpoint, CPU, Precision(torch.float32, "dense")), prompt)
    theirs = load_transformers_model(checkpoint, CPU, torch.float32)
    whole = torch.cat((prompt, answer[None]), dim=1)
    return Text(prompt, answer, theirs(whole).logits[0, -TOKENS - 1 : -1])


def test_greedy_tokens_are_those_of_transformers(text: Text) -> None:
    assert len(set(text.answer.tolist())) > 40  # it does not go round in circles
    assert torch.equal(text.answer, text.logits.argmax(-1))


def test_packed_weights_in_steps(text: Text, embedded_gguf: Path) -> None:
    """The file's own 4 bits; inputs rounded to 16. Found: 0.006 off at most, the same tokens."""
    model = load_model(open_checkpoint(embedded_gguf), CPU, Precision(torch.float32, "stored"))
    cache = model.new_cache()
    ids = torch.cat((text.prompt[0], text.answer[:-1]))
    found = torch.cat([model.step(token.view(1, 1), cache) for token in ids])[-TOKENS:]
    assert (found - text.logits).abs().max() <= 0.001 * text.logits.abs().max()
    assert (found.argmax(-1) == text.answer).sum() >= 0.99 * TOKENS


def test_packed_weights_behind_a_prompt(text: Text, embedded_gguf: Path) -> None:
    """A prompt's inputs are rounded to 8 bits, and its keys and values with them."""
    assert text.prompt.shape[1] > PRECISE + 16
    model = load_model(open_checkpoint(embedded_gguf), CPU, Precision(torch.float32, "stored"))
    cache = model.new_cache()
    found = [model.prefill(text.prompt, cache)]
    found += [model.step(token.view(1, 1), cache) for token in text.answer[:-1]]
    off = (torch.cat(found) - text.logits).abs()
    assert off.max() <= 0.03 * text.logits.abs().max()
    assert (torch.cat(found).argmax(-1) == text.answer).sum() >= 0.99 * TOKENS
