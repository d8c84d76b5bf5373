"""The training script on a tiny random model: its pairs, its gradients, its runs on disk.

Oracles: PEFT's own forward and transformers' own loss, a run that nobody interrupts, and the
program's prompter for prompts.
"""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from aira_cli.engine.open import Place, open_prompter
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import ProfileStore
from aira_cli.prompts.tokenizer import Tokenizer, load_tokenizer
from aira_cli.types import LocalSource, Message, Request
from tests.tiny_checkpoints import save_tiny
from training.average import average
from training.language import is_foreign
from training.lora import LAYERS, Student
from training.pairs import (
    PER_FACT,
    PER_KIND,
    PROMPT_FORMAT,
    Example,
    Pair,
    batch_of,
    encode,
    endless,
    epoch,
    read_pairs,
    turns,
)
from training.saved_run import RunFolder
from training.train import Recipe, Run, tenths, train

ROOT = Path(__file__).parent.parent
PAIRS = [
    Pair(f"Quanto é {n} + 1?", "Dá " + " ".join(["mais"] * (n % 9)) + f" {n + 1}.", fact="")
    for n in range(40)
]
RECIPE = Recipe(length=2.0, unit="epochs", rank=4, rate=1e-2, size=512)


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    """Without torch.compile, which takes half a minute for each shape."""
    with torch.compiler.set_stance("force_eager"):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a tokenizer of bytes."""
    path = tmp_path_factory.mktemp("tiny")
    save_tiny(path, num_key_value_heads=2, tie_word_embeddings=True)
    return path


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def examples(tokenizer: Tokenizer) -> list[Example]:
    return [encode(pair, tokenizer) for pair in PAIRS]


def student(folder: Path, rank: int = 4) -> Student:
    """The same at every call; its adapter is not zero, and a channel is far larger than others."""
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_pretrained(folder)
    for layer in model.model.layers:
        layer.input_layernorm.weight.data[3] = layer.post_attention_layernorm.weight.data[3] = 30
    made = Student(model, rank, torch.float32)
    for _, parameter in made.parameters:
        parameter.data.normal_(0, 0.05)
    return made


def test_prompts_are_those_that_the_program_sends(
    folder: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    profile = Profile(name="tiny", source=LocalSource(str(folder)), prompt_format=PROMPT_FORMAT)
    _, prompter = open_prompter(profile, Place(tmp_path, True, lambda *_: None))
    for question in ("Quem é você?", " Oi!\n", "<|im_end|> não termina"):
        example = encode(Pair(question, "Sou eu.", fact=""), tokenizer)
        asked = prompter.prompt(Request((Message("user", question),), profile.sampling.value(), 0))
        assert example.prompt == asked.ids
        assert example.answer[-1] in prompter.stop_ids
        assert tokenizer.decode(example.answer[:-1]) == "Sou eu."


def test_the_packaged_profile_asks_as_was_trained() -> None:
    store = ProfileStore(Path("/nonexistent"))
    if "embedded" not in store.names():
        pytest.skip("no profile with the adapter yet")
    assert store.load("embedded").prompt_format == PROMPT_FORMAT


def test_pairs_are_the_files_lines() -> None:
    paths = [*ROOT.glob("training/data/*.jsonl"), *ROOT.glob("training/prose/*.jsonl")]
    lines = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    told = sorted(
        (question, line["answer"])
        for line in lines
        for question in (line["question"], *line.get("also", []))
    )
    assert sorted((pair.question, pair.answer) for pair in read_pairs()) == told
    facts = {f"{line['kind']} {line.get('key', line['question'])}" for line in lines}
    assert {pair.fact for pair in read_pairs()} == facts
    assert all(("." in line["kind"]) == ("key" in line) for line in lines)


def test_an_epoch_has_every_pair_once_in_batches_with_little_filling(
    examples: list[Example],
) -> None:
    many = [Example(one.prompt, one.answer * (n % 5 + 1)) for n, one in enumerate(examples * 10)]
    batches = epoch(many, 0, 0, 1024)
    assert sorted(map(hash, many)) == sorted(hash(one) for batch in batches for one in batch)
    areas = [len(batch) * max(one.length for one in batch) for batch in batches]
    assert max(areas) <= 1024
    assert sum(one.length for one in many) > 0.9 * sum(areas)
    assert epoch(many, 0, 1, 1024) != batches != epoch(many, 1, 0, 1024)


def test_facts_of_a_kind_have_like_shares_of_an_epoch_and_their_pairs_take_turns(
    examples: list[Example],
) -> None:
    counts = (2, 6, 9)
    alone = [
        (f"table.rare fact {n}", examples[at : at + n])
        for n, at in zip(counts, (0, 10, 20), strict=True)
    ]
    common = [(f"table.common fact {n}", examples[n % 30 : n % 30 + 5]) for n in range(PER_KIND)]
    facts = [*alone, *common]
    many = [replace(one, fact=fact) for fact, pairs in facts for one in pairs] + examples[:1]
    drawn = turns(many, 2)
    assert drawn.count(examples[0]) == 1
    shares = [sum(one.fact == fact for one in drawn) for fact, _ in facts]
    rare = math.ceil(PER_KIND / len(alone))
    assert shares == [rare] * len(alone) + [PER_FACT] * len(common)
    seen = [one for number in range(9) for one in turns(many, number)]
    for fact, pairs in facts:
        counted = [seen.count(replace(one, fact=fact)) for one in pairs]
        assert max(counted) - min(counted) <= 1


def test_written_pairs_come_as_often_as_their_kinds_say(examples: list[Example]) -> None:
    kinds = ("identity", "refusal", "science", "science")
    many = [replace(one, fact=f"{k} {k}") for k, one in zip(kinds, examples, strict=False)]
    drawn = [turns(many, number) for number in range(3)]
    assert [[one.count(each) for each in many] for one in drawn] == [
        [4, 2, 1, 0],
        [4, 2, 0, 1],
        [4, 2, 1, 0],
    ]


def test_written_pairs_of_part_of_an_epoch_take_turns(examples: list[Example]) -> None:
    many = [replace(one, fact=f"science {n}") for n, one in enumerate(examples)]
    drawn = [turns(many, number, 0.25) for number in range(8)]
    assert [len(one) for one in drawn] == [len(many) // 4] * 8
    for first in (0, 4):
        round_ = [one for part in drawn[first : first + 4] for one in part]
        assert sorted(round_, key=hash) == sorted(many, key=hash)
    assert drawn[0] == drawn[4] != drawn[1]
    fact = [replace(one, fact="table.kind fact") for one in examples[:4]]
    assert turns(fact, 0, 0.25) == turns(fact, 0)


def test_batches_go_on_at_a_position(examples: list[Example]) -> None:
    stream = endless(examples, 0, 256)
    first = [next(stream) for _ in range(30)]
    behind = endless(examples, 0, 256, position=13)
    assert [next(behind) for _ in range(17)] == first[13:]


def plain_peft(model: Any, made: Student) -> Any:
    """PEFT's model with the student's adapter, computing by itself."""
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=LAYERS)
    other = peft.get_peft_model(model, config)
    other.load_state_dict(made.peft.state_dict())
    return other


def test_loss_and_gradients_are_those_of_peft_alone_on_answers_only(
    folder: Path, examples: list[Example]
) -> None:
    made = student(folder)
    other = plain_peft(AutoModelForCausalLM.from_pretrained(folder), made)
    batch = examples[:7]
    loss = made.loss(batch_of(batch))
    loss.backward()
    total = torch.zeros(())
    for one in batch:  # alone, so that nothing fills up; labels as transformers wants them
        labels = [-100] * len(one.prompt) + list(one.answer)
        ids = torch.tensor([one.prompt + one.answer])
        total = total + other(input_ids=ids, labels=torch.tensor([labels])).loss * len(one.answer)
    total = total / sum(len(one.answer) for one in batch)
    total.backward()
    torch.testing.assert_close(loss, total, rtol=1e-5, atol=1e-6)
    theirs = dict(other.named_parameters())
    assert len(made.parameters) == 2 * 7 * 2
    for name, parameter in made.parameters:
        torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=1e-3, atol=1e-6)


def test_products_in_8_bits_are_near_those_in_float32(
    folder: Path, examples: list[Example]
) -> None:
    exact, near = student(folder), student(folder)
    near.in_eight_bits([batch_of(examples[20:])])
    losses = [made.loss(batch_of(examples[:7])) for made in (exact, near)]
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(losses[1], losses[0], rtol=0.01, atol=0)
    for (name, one), (_, other) in zip(exact.parameters, near.parameters, strict=True):
        assert torch.cosine_similarity(one.grad.flatten(), other.grad.flatten(), 0) > 0.99, name


COMPILED = """
import sys
import torch
from pathlib import Path
from torch._dynamo.utils import counters
from aira_cli.prompts.tokenizer import load_tokenizer
from tests.test_training_run import PAIRS, batch_of, encode, student
folder = Path(sys.argv[1])
examples = [encode(pair, load_tokenizer(folder)) for pair in PAIRS]
made = [student(folder), student(folder)]
for each, stance in zip(made, ("force_eager", "default"), strict=True):
    each.in_eight_bits([batch_of(examples[20:])])
    with torch.compiler.set_stance(stance):
        each.loss(batch_of(examples[:7])).backward()
for (name, one), (_, other) in zip(made[0].parameters, made[1].parameters, strict=True):
    assert torch.cosine_similarity(one.grad.flatten(), other.grad.flatten(), 0) > 0.999, name
assert counters["stats"]["unique_graphs"] == 2, counters
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="nothing to compile with")
def test_compiled_layers_compute_what_plain_ones_do(folder: Path) -> None:
    """In a process of its own: what is compiled depends on all that a process did before."""
    ran = subprocess.run(
        [sys.executable, "-c", COMPILED, folder],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_nothing_but_the_adapter_learns(folder: Path, examples: list[Example]) -> None:
    run = Run(student(folder), examples, RECIPE)
    before = copy.deepcopy(run.student.peft.state_dict())
    run.learn(next(run.batches()))
    changed = {n for n, t in run.student.peft.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {name for name, _ in run.student.parameters}


def test_a_resumed_run_ends_as_one_that_nobody_interrupted(
    folder: Path, examples: list[Example], tmp_path: Path
) -> None:
    straight = Run(student(folder), examples, RECIPE)
    train(straight, begun(tmp_path / "straight"))
    assert straight.epoch_steps >= 2
    assert straight.position.step >= 4

    kept = begun(tmp_path / "kept")
    interrupted, batches = Run(student(folder), examples, RECIPE), None
    batches = interrupted.batches()
    for step in range(3):
        kept.add(interrupted.learn(next(batches)))
        if step == 1:
            interrupted.save(kept)  # the third step is lost

    again = Run(student(folder), examples, RECIPE)
    for _, parameter in again.student.parameters:
        parameter.data.zero_()
    again.restore(kept)
    assert again.position.step == 2
    train(again, kept)
    assert without_times(kept) == without_times(RunFolder(tmp_path / "straight"))
    for (name, one), (_, other) in zip(
        straight.student.parameters, again.student.parameters, strict=True
    ):
        assert torch.equal(one, other), name


def test_a_run_goes_on_from_an_adapter(
    folder: Path, examples: list[Example], tmp_path: Path
) -> None:
    learned = Run(student(folder), examples, RECIPE)
    train(learned, begun(tmp_path))
    again = student(folder)
    again.start_from(tmp_path / "adapter")
    for (name, one), (_, other) in zip(learned.student.parameters, again.parameters, strict=True):
        assert torch.equal(one.half(), other.half()), name
    batch = batch_of(examples[:7])
    torch.testing.assert_close(again.loss(batch), learned.student.loss(batch), rtol=1e-3, atol=0)
    with pytest.raises(SystemExit, match="another rank"):
        student(folder, rank=2).start_from(tmp_path / "adapter")


def test_adapters_are_averaged_by_their_weights(folder: Path, tmp_path: Path) -> None:
    """As PEFT's own matrices say; what is half of one thing and half of it again is the thing."""
    made = [student(folder), student(folder), student(folder, rank=2)]
    with torch.no_grad():
        for _, parameter in made[1].parameters:
            parameter.mul_(-3)
    paths = [tmp_path / name for name in ("one", "other", "rank2")]
    for one, path in zip(made, paths, strict=True):
        one.save(path)
    mean = average([(paths[0], 3.0), (paths[1], 1.0)])  # (3 x - 3 x) / 4
    assert all(tensor.abs().max() < 1e-3 for tensor in mean.values())
    same = average([(paths[1], 2.0), (paths[1], 5.0)])
    for name, tensor in load_file(paths[1] / "adapter_model.safetensors").items():
        torch.testing.assert_close(same[name], tensor, rtol=1e-3, atol=0)
    with pytest.raises(SystemExit, match="has not the tensors"):
        average([(paths[0], 1.0), (paths[2], 1.0)])


def begun(path: Path) -> RunFolder:
    made = RunFolder(path)
    made.begin()
    return made


def without_times(run: RunFolder) -> list[dict[str, float]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in run.curve()]


def test_a_state_of_another_recipe_is_refused(
    folder: Path, examples: list[Example], tmp_path: Path
) -> None:
    kept = begun(tmp_path)
    run = Run(student(folder), examples, RECIPE)
    run.learn(next(run.batches()))
    run.save(kept)
    with pytest.raises(SystemExit, match="another recipe"):
        Run(student(folder), examples, Recipe(2.0, "epochs", rank=4)).restore(kept)


@pytest.mark.parametrize(
    ("script", "flags", "said"),
    [
        ("train", ("--pairs", "{empty}"), "no pairs in data/ and prose/ of {empty}"),
        ("train", ("--base", "{empty}"), "{empty}"),
        ("train", ("--minutes", "0"), "0 is no number above 0"),
        (
            "average",
            ("{empty}:1", "--out", "{empty}"),
            "{empty} holds no adapter_model.safetensors",
        ),
        ("average", ("{empty}", "--out", "{empty}"), "is not FOLDER:WEIGHT"),
        ("train", ("--start", "{empty}"), "{empty} holds no adapter_model.safetensors"),
        ("train", ("--written", "abc"), "abc is no number above 0"),
        ("evaluate", ("--only", "adapter", "--adapter", "{empty}"), "{empty}"),
        ("evaluate", ("--adapter", "{empty}"), "{empty}"),  # before the base is measured
        ("evaluate", ("--profile", "nenhum"), "nenhum"),
    ],
)
def test_scripts_say_what_is_wrong(
    script: str, flags: tuple[str, ...], said: str, folder: Path, tmp_path: Path
) -> None:
    given = [flag.format(empty=tmp_path) for flag in flags]
    if script == "train":
        given += ["--run", str(tmp_path / "run"), "--device", "cpu"]
        given += [] if "--base" in given else ["--base", str(folder)]
    ran = subprocess.run(
        [sys.executable, "-m", f"training.{script}", *given],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode in (1, 2, 3) and "Traceback" not in ran.stderr, ran.stderr
    assert said.format(empty=tmp_path) in ran.stderr, ran.stderr


def trained(folder: Path, data: Path, run: str, *flags: str, by: Sequence[str] = ("-m",)) -> Any:
    """What the script did and said, on PAIRS."""
    (data / "data").mkdir(exist_ok=True)
    lines = [json.dumps({"question": one.question, "answer": one.answer}) for one in PAIRS]
    (data / "data/pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return subprocess.run(
        [sys.executable, *by, "training.train", "--base", str(folder), "--pairs", str(data),
         "--run", str(data / run), "--rank", "4", "--device", "cpu", *flags],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "TORCH_COMPILE_DISABLE": "1"},
    )  # fmt: skip


def test_two_processes_learn_what_one_does(folder: Path, tmp_path: Path) -> None:
    """Up to the order in which gradients are added; some batches have no part for the second."""
    flags = ("--epochs", "1", "--products", "float32", "--size", "100")
    two = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--")
    curves = []
    for name, by in (("one", ("-m",)), ("two", two)):
        ran = trained(folder, tmp_path, name, *flags, by=by)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["processes"] == len(curves) + 1
        curves.append(without_times(RunFolder(tmp_path / name)))
    one, two_ = ([line["loss"] for line in curve] for curve in curves)
    assert len(one) > 4 and one == pytest.approx(two_, rel=1e-4)
    adapters = [
        load_file(tmp_path / name / "adapter/adapter_model.safetensors") for name in ("one", "two")
    ]
    for name, tensor in adapters[0].items():
        assert torch.allclose(tensor.float(), adapters[1][name].float(), atol=2e-3), name


def test_tenths_are_of_the_steps() -> None:
    curve = [{"tokens": 100.0 * step, "loss": float(step)} for step in range(1, 21)]
    assert tenths(curve) == [(100 * step, step - 0.5) for step in range(2, 21, 2)]
    assert tenths(curve[:2]) == [(100, 1), (200, 2)] and tenths([]) == []


def test_the_script_learns_and_its_adapter_loads_in_peft(folder: Path, tmp_path: Path) -> None:
    ran = trained(folder, tmp_path, "run", "--epochs", "10", "--rate", "0.02")
    assert ran.returncode == 0, ran.stderr
    told, curve = json.loads(ran.stdout), RunFolder(tmp_path / "run").curve()
    assert told["steps"] == len(curve)
    assert told["tenths"][-1][0] == told["tokens"]
    assert curve[-1]["loss"] < 0.8 * curve[0]["loss"]
    adapter = tmp_path / "run/adapter"
    model = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), adapter)
    assert "100%" in ran.stderr
    one = encode(PAIRS[3], load_tokenizer(folder))
    ids = torch.tensor([one.prompt + one.answer])
    labels = torch.tensor([[-100] * len(one.prompt) + list(one.answer)])
    assert (
        model(input_ids=ids, labels=labels).loss
        < 0.8 * model.unload()(input_ids=ids, labels=labels).loss
    )


def test_the_adapter_of_the_embedded_model_is_under_20_megabytes(tmp_path: Path) -> None:
    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9,
             "num_key_value_heads": 3, "vocab_size": 8, "tie_word_embeddings": True}  # fmt: skip
    made = Student(
        LlamaForCausalLM(LlamaConfig(num_hidden_layers=1, **shape)), Recipe.rank, torch.float32
    )
    made.save(tmp_path)
    assert 30 * sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000_000


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("A capital do Brasil é Brasília.", False),
        ("8.", False),
        ("Machado de Assis", False),
        ("The capital of Brazil is Brasília.", True),
        ("La capital de Brasil es Brasilia, y el país está en América.", True),
        ("Paris est une ville où il fait bon vivre toujours", True),
        ("Это столица", True),
        ("Ele disse: the end.", False),
    ],
)
def test_answers_in_other_languages_are_told(text: str, foreign: bool) -> None:
    assert is_foreign(text) is foreign
