"""Recorded steps against the same steps made one by one, bit for bit."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import transformers
from torch import Tensor

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.kv_cache import BLOCK, KVCache
from aira_cli.engine.local.load import OwnDecoder, load_model
from aira_cli.engine.local.native import kernels
from aira_cli.engine.local.native.kernels import Kernels, Tape
from aira_cli.engine.local.recorded import Recorded
from tests.conftest import FIXTURES

CPU = torch.device("cpu")
Asked = Literal["stored", "dense", "int8", "int4"]

LLAMA = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 101}  # fmt: skip
BLOOM = {"hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 101}
GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "vocab_size": 101}

WHOLE: dict[str, tuple[str, dict[str, Any], Asked]] = {
    "llama": ("llama", LLAMA, "dense"),
    "llama-int8": ("llama", LLAMA, "int8"),
    "llama-int4-tied": ("llama", LLAMA | {"tie_word_embeddings": True}, "int4"),
    "bloom": ("bloom", BLOOM, "dense"),
    "bloom-int8": ("bloom", BLOOM, "int8"),
    "gpt2": ("gpt2", GPT2, "dense"),
    "gpt2-int4": ("gpt2", GPT2, "int4"),
}
#: Sizes that no register divides: torch computes attention, or products, or all.
PARTS: dict[str, tuple[str, dict[str, Any], Asked]] = {
    "llama-heads": ("llama", LLAMA | {"num_attention_heads": 8, "num_key_value_heads": 4}, "int8"),
    "llama-inner": ("llama", LLAMA | {"intermediate_size": 72}, "int4"),
    "llama-hidden": ("llama", LLAMA | {"hidden_size": 72}, "int8"),
    "bloom-heads": ("bloom", BLOOM | {"n_head": 8}, "int8"),
    "gpt2-hidden": ("gpt2", GPT2 | {"n_embd": 40}, "dense"),
}


@pytest.fixture(autouse=True)
def native(kernels_folder: Path) -> Iterator[Kernels]:
    kernels.activate(kernels_folder)
    found = kernels.active()
    assert found is not None
    threads = torch.get_num_threads()
    with torch.inference_mode():
        yield found
    torch.set_num_threads(threads)
    kernels.deactivate()


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """Every tape that is replayed from now on."""
    made: list[Tape] = []
    replay = Kernels.replay

    def noted(native: Kernels, tape: Tape) -> None:
        made.append(tape)
        replay(native, tape)

    monkeypatch.setattr(Kernels, "replay", noted)
    return made


def load(folder: Path, case: tuple[str, dict[str, Any], Asked]) -> OwnDecoder:
    model_type, fields, asked = case
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(model_type, **fields)
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in theirs.parameters():
        parameter.data.normal_(std=0.2)
    theirs.save_pretrained(folder)
    model = load_model(open_checkpoint(folder), CPU, Precision(torch.float32, asked))
    assert isinstance(model, OwnDecoder)
    return model


Change = Callable[[KVCache], object]


def run(model: OwnDecoder, changes: dict[int, Change], steps: int, *, forget: bool) -> list[Tensor]:
    """Logits of a prompt and of `steps` steps, each row with its own tokens.

    `changes[i]` is done to the cache before step i. With `forget` no step is a replay.
    """
    torch.set_num_threads(1)
    tokens = torch.Generator().manual_seed(8)
    cache = model.new_cache()
    logits = [model.prefill(torch.randint(0, 101, (1, 5), generator=tokens), cache)]
    for number in range(steps):
        if number in changes:
            changes[number](cache)
        if forget:
            cache.recorded = None
        rows = cache.memory(0)[0].shape[0]
        logits.append(model.step(torch.randint(0, 101, (rows, 1), generator=tokens), cache))
    return logits


def assert_equal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert torch.equal(one, other), f"step {number}"
    assert len({float(logits[0, 0]) for logits in found}) > len(found) // 2


#: Rows come and go, positions are forgotten, the thread count changes, a prompt comes between.
CHANGES: dict[int, Change] = {
    3: lambda cache: cache.widen(3),
    9: lambda cache: cache.keep([2, 0]),
    14: lambda cache: cache.rewind(6),
    20: lambda cache: cache.keep([1]),
    25: lambda cache: torch.set_num_threads(2),
    30: lambda cache: cache.widen(5),
    33: lambda cache: cache.rewind(0),
    40: lambda cache: cache.keep([4, 4, 1, 0]),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_replayed_step_is_the_step(tmp_path: Path, replays: list[Tape], case: str) -> None:
    """Over more positions than a block of the cache has."""
    model = load(tmp_path, WHOLE[case])
    expected = run(model, {}, BLOCK + 20, forget=True)
    assert not replays
    found = run(model, {}, BLOCK + 20, forget=False)
    assert len(replays) == BLOCK + 20 - 2 and len(set(map(id, replays))) == 2  # before and behind
    assert_equal(found, expected)


@pytest.mark.parametrize("case", WHOLE)
def test_rows_and_lengths_that_change(tmp_path: Path, replays: list[Tape], case: str) -> None:
    model = load(tmp_path, WHOLE[case])
    expected = run(model, CHANGES, 60, forget=True)
    found = run(model, CHANGES, 60, forget=False)
    assert len(replays) == 60 - 6  # rewinding and threads let a tape stay
    assert_equal(found, expected)


@pytest.mark.parametrize("case", PARTS)
def test_a_step_that_torch_shares_is_never_replayed(
    tmp_path: Path, replays: list[Tape], case: str
) -> None:
    model = load(tmp_path, PARTS[case])
    expected = run(model, CHANGES, 60, forget=True)
    found = run(model, CHANGES, 60, forget=False)
    assert not replays
    assert_equal(found, expected)


def test_awq_weights(replays: list[Tape]) -> None:
    folder = FIXTURES / "llama-tiny-awq"
    model = load_model(open_checkpoint(folder), CPU, Precision(torch.float32, "stored"))
    assert isinstance(model, OwnDecoder)
    expected = run(model, CHANGES, 60, forget=True)
    assert_equal(run(model, CHANGES, 60, forget=False), expected)
    assert len(replays) == 54


def test_a_prompt_between_two_steps(tmp_path: Path, replays: list[Tape]) -> None:
    """As when a conversation goes on: the tape stays while the memory does."""
    model = load(tmp_path, WHOLE["llama-int8"])

    def talk(forget: bool) -> list[Tensor]:
        cache, logits = model.new_cache(), []
        for turn in range(4):
            prompt = torch.arange(turn, turn + 20)[None]
            logits.append(model.prefill(prompt, cache))
            for token in range(30):
                if forget:
                    cache.recorded = None
                logits.append(model.step(torch.tensor([[token + turn]]), cache))
        return logits

    expected = talk(forget=True)
    assert_equal(talk(forget=False), expected)
    assert len(set(map(id, replays))) == 2  # 200 positions: two blocks


def test_two_caches_of_one_model(tmp_path: Path, replays: list[Tape]) -> None:
    """In turn, each with its own rows and length."""
    model = load(tmp_path, WHOLE["llama-int8"])
    alone = [
        run(model, {0: lambda c: c.widen(2)}, 12, forget=True),
        run(model, {}, 12, forget=True),
    ]
    tokens = [torch.Generator().manual_seed(8) for _ in alone]
    made = [model.new_cache(), model.new_cache()]
    for which, cache in enumerate(made):
        prompt = torch.randint(0, 101, (1, 5), generator=tokens[which])
        assert torch.equal(model.prefill(prompt, cache), alone[which][0])
    made[0].widen(2)
    for number in range(1, 13):
        for which, rows in ((0, 2), (1, 1)):
            ids = torch.randint(0, 101, (rows, 1), generator=tokens[which])
            assert torch.equal(model.step(ids, made[which]), alone[which][number])
    assert len(set(map(id, replays))) == 2


def test_logits_are_the_callers_own(tmp_path: Path) -> None:
    """A later step does not overwrite them, and what is done to them changes no step."""
    model = load(tmp_path, WHOLE["gpt2"])
    expected = run(model, {}, 8, forget=True)
    cache = model.new_cache()
    tokens = torch.Generator().manual_seed(8)
    found = [model.prefill(torch.randint(0, 101, (1, 5), generator=tokens), cache)]
    for _ in range(8):
        found.append(model.step(torch.randint(0, 101, (1, 1), generator=tokens), cache))
        kept = found[-1].clone()
        found[-1].fill_(7)
        found[-1] = kept
    assert_equal(found, expected)


def test_kernels_put_out_of_use_between_two_steps(tmp_path: Path) -> None:
    """A dense model goes on with torch's; its tape lies ready and is not touched."""
    model = load(tmp_path, WHOLE["gpt2"])
    cache = model.new_cache()
    cache.reserve(4)
    model.step(torch.tensor([[3]]), cache)
    assert isinstance(cache.recorded, Recorded) and cache.recorded.tape.whole
    again = model.new_cache()
    model.step(torch.tensor([[3]]), again)
    with_ours = model.step(torch.tensor([[4]]), cache)
    kernels.deactivate()
    with_torch = model.step(torch.tensor([[4]]), again)
    assert (with_ours - with_torch).abs().max() <= 1e-5 * with_torch.abs().max()


def test_a_cache_goes_with_its_last_user(tmp_path: Path) -> None:
    """At once: a long conversation's is hundreds of megabytes."""
    model = load(tmp_path, WHOLE["llama-int8"])
    cache = model.new_cache()
    model.step(torch.tensor([[3]]), cache)
    gone = weakref.ref(cache)
    gc.disable()
    try:
        del cache
        assert gone() is None
    finally:
        gc.enable()
