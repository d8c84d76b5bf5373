"""`aira bench`: random weights against packages' own readers, figures against their definitions,
and the command as a person runs it. No figure is compared with a clock."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from aira_cli.bench.children import Children
from aira_cli.bench.machine import is_installed
from aira_cli.bench.orders import Load, Measure, Order, Perplexity, WriteShape, read, written
from aira_cli.bench.perplexity import perplexities
from aira_cli.bench.random_weights import Quantized, RandomWeights, awq_tensors, q4_0_blocks
from aira_cli.bench.report import figures, ratios, results_object
from aira_cli.bench.rounds import Entry, Results
from aira_cli.bench.shapes import model_slots, write_shape
from aira_cli.bench.subjects import fits_gguf, real_subject
from aira_cli.bench.timing import measure, step_seconds
from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.checkpoints.weights import Int4
from aira_cli.engine.local.models.generic import load_transformers_model
from aira_cli.errors import AiraError, CheckpointError, ContextError
from aira_cli.profiles.store import ProfileStore
from aira_cli.ui.figures import FigureTable, print_figure_table
from tests.conftest import Program
from tests.run_inside import Person
from tests.test_awq import value_at
from tests.tiny_checkpoints import save_tiny

CPU = torch.device("cpu")
LLAMA: dict[str, Any] = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 128, "intermediate_size": 192,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300,
    "max_position_embeddings": 256, "rope_theta": 5000.0, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}  # fmt: skip
AWQ: dict[str, Any] = {
    "quant_method": "awq", "bits": 4, "group_size": 64, "version": "gemm", "zero_point": True,
}  # fmt: skip
TINY_AWQ = LLAMA | {"quantization_config": AWQ}
SHAPES: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "llama-tied": LLAMA | {"tie_word_embeddings": True},
    "llama-awq": TINY_AWQ,
    "bloom": {"model_type": "bloom", "n_layer": 2, "hidden_size": 64, "n_head": 4,
              "vocab_size": 100},
    "gpt2": {"model_type": "gpt2", "n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 100,
             "n_positions": 64},
}  # fmt: skip


# random weights


def random_layer(outputs: int, inputs: int, group: int) -> Quantized:
    draw = np.random.default_rng(5)
    q = draw.integers(0, 16, (outputs, inputs), dtype=np.uint8)
    return Quantized(q, draw.uniform(0.1, 1, (outputs, inputs // group)).astype(np.float16))


def test_awq_words_hold_every_value_in_its_place() -> None:
    outputs, inputs, group = 24, 64, 32
    layer = random_layer(outputs, inputs, group)
    packed = {name: torch.from_numpy(array) for name, array in awq_tensors(layer).items()}
    assert packed["qweight"].dtype == packed["qzeros"].dtype == torch.int32
    assert packed["qweight"].shape == (inputs, outputs // 8)
    for column in range(outputs):
        for row in range(inputs):
            assert value_at(packed["qweight"], row, column) == layer.q[column, row]
            assert value_at(packed["qzeros"], row // group, column) == 8
            assert packed["scales"][row // group, column] == layer.scale[column, row // group]


def test_rows_of_a_large_tensor_differ() -> None:
    shape = (2500, 1024)
    rows = np.concatenate(list(RandomWeights().dense("head.weight", 3, shape))).reshape(shape)
    assert abs(float(rows.astype(np.float32).std()) - 0.02) < 0.001
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_q4_0_blocks_are_the_package_s() -> None:
    layer = random_layer(6, 128, 64)
    found = dequantize(q4_0_blocks(layer), GGMLQuantizationType.Q4_0)
    expected = (layer.q.astype(np.float32) - 8) * layer.scale.astype(np.float32).repeat(64, axis=1)
    assert np.array_equal(found, expected)


def shape_in(folder: Path, architecture: dict[str, Any], *, with_gguf: bool = False) -> Path:
    """A checkpoint of random weights in `folder`; beside it "folder.gguf" if asked for."""
    file = str(folder.with_suffix(".gguf")) if with_gguf else None
    write_shape(WriteShape("tiny", architecture, str(folder), file))
    return folder


@pytest.mark.parametrize("name", SHAPES)
def test_transformers_finds_every_tensor_it_wants(name: str, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(shape_in(tmp_path / "shape", SHAPES[name]))
    model = load_transformers_model(checkpoint, CPU, torch.float32)  # refuses missing and foreign
    logits = model(torch.tensor([[1, 2, 3]])).logits
    assert torch.isfinite(logits).all() and logits.std() > 0


@pytest.mark.parametrize("name", ["llama", "llama-tied", "llama-awq"])
def test_the_gguf_file_has_the_folder_s_weights_exactly(name: str, tmp_path: Path) -> None:
    folder = shape_in(tmp_path / "shape", SHAPES[name], with_gguf=True)
    ours = dict(open_checkpoint(folder).weights())
    theirs = dict(open_checkpoint(tmp_path / "shape.gguf").weights())
    assert ours.keys() == theirs.keys()
    assert sum(isinstance(weight, Int4) for weight in ours.values()) == 14 * (name == "llama-awq")
    for tensor, weight in ours.items():
        dense = weight.dense(torch.float32)
        assert torch.equal(dense, theirs[tensor].dense(torch.float32)), tensor
        if dense.ndim == 2:
            assert len(dense.unique(dim=0)) == len(dense), tensor  # a swapped row would show


@pytest.mark.parametrize(("name", "tolerance"), [("llama", 0.01), ("llama-awq", 0.1)])
def test_llama_cpp_computes_the_same_from_the_gguf_file(
    name: str, tolerance: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights large enough that attention is sharp, and a wrong position or row order shows.

    Behind 4-bit weights llama.cpp rounds activations to 8 bits.
    """
    llama_cpp = pytest.importorskip("llama_cpp")
    monkeypatch.setattr("aira_cli.bench.random_weights._DEVIATION", 0.2)
    monkeypatch.setattr("aira_cli.bench.random_weights._SCALES", (0.03, 0.05))
    folder = shape_in(tmp_path / "shape", SHAPES[name], with_gguf=True)
    ids = [5, 250, 17, 99, 3, 42, 180, 7] * 4
    model = load_transformers_model(open_checkpoint(folder), CPU, torch.float32)
    with torch.inference_mode():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    file = str(tmp_path / "shape.gguf")
    theirs = llama_cpp.Llama(file, n_ctx=64, logits_all=True, verbose=False, n_threads=1)
    theirs.eval(ids)
    found = np.array(theirs.scores[: len(ids)])
    assert np.linalg.norm(found - expected) < tolerance * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["ttl-460m-awq", "aira-2-portuguese-1b7", "smollm2-135m"])
def test_a_packaged_shape_has_the_card_s_parameters(name: str, tmp_path: Path) -> None:
    profile = ProfileStore(tmp_path).load(name)
    assert profile.architecture is not None
    slots = model_slots(name, profile.architecture)
    assert sum(math.prod(slot.shape) for slot in slots) == profile.parameters
    in_4_bits = [slot for slot in slots if slot.group]
    assert len(in_4_bits) == (24 * 7 if name == "ttl-460m-awq" else 0)
    assert fits_gguf(profile.architecture) == (profile.architecture["model_type"] == "llama")


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"quantization_config": AWQ | {"group_size": 96}}, "shape_not_awq"),
        ({"intermediate_size": 130, "quantization_config": AWQ}, "shape_not_awq"),
        ({"quantization_config": AWQ | {"bits": 3}}, "awq_unsupported"),
        ({"model_type": "no-such"}, "architecture_unknown"),
        ({"model_type": "bloom", "num_attention_heads": 5}, "config_invalid"),
    ],
)
def test_shapes_that_cannot_be(changed: dict[str, Any], key: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as raised:
        shape_in(tmp_path / "shape", LLAMA | changed)
    assert raised.value.key == key


# figures


def test_perplexity_is_the_exponential_of_transformers_loss(tmp_path: Path) -> None:
    model = save_tiny(tmp_path)
    ids = torch.randint(0, model.config.vocab_size, (40,), generator=torch.manual_seed(2))
    windows = [ids[:16], ids[16:32], ids[32:]]
    with torch.no_grad():
        losses = [model(w[None], labels=w[None]).loss.item() * (len(w) - 1) for w in windows]
    load = Load("aira", str(tmp_path), "cpu", None, threads=1)
    order = Perplexity(load, ["float32", "int3"], ids.tolist(), window=16)
    exact, unknown = perplexities(order)["formats"]
    assert (exact["dtype"], exact["predicted_tokens"]) == ("float32", 40 - 3)
    assert exact["perplexity"] == pytest.approx(math.exp(sum(losses) / 37), rel=1e-4)
    assert unknown["error"] == "dtype_unknown"


@pytest.mark.parametrize("contender", ["aira", "transformers", "llama.cpp"])
def test_a_contender_has_every_figure_that_was_asked_for(contender: str, tmp_path: Path) -> None:
    if contender == "llama.cpp":
        pytest.importorskip("llama_cpp")
    path = shape_in(tmp_path / "shape", TINY_AWQ, with_gguf=True)
    path = path.with_suffix(".gguf") if contender == "llama.cpp" else path
    load = Load(contender, str(path), "cpu", "float32", threads=1)
    found = measure(Measure(load, [1, 2, 3], [4] * 20, samples=(1, 3), new_tokens=6))
    speeds = {f"decode_{n}_tokens_per_second" for n in (1, 3)} | {"prefill_tokens_per_second"}
    assert found.keys() == speeds | {"load_seconds", "memory_bytes"}
    assert all(value > 0 for value in found.values())


def test_a_step_is_the_median_without_the_warm_up() -> None:
    stamps = np.cumsum([0, 9, 9, 1, 2, 3, 4, 5, 50]).tolist()
    assert step_seconds(stamps) == 3.5  # of 1 2 3 4 5 50: the first quarter is left out


def test_peak_memory_is_what_was_held_at_a_time() -> None:
    held = 300 << 20
    script = f"b = bytearray({held}); del b; from aira_cli.bench.timing import peak_memory as p;"
    ran = subprocess.run(
        [sys.executable, "-c", script + "print(p())"], capture_output=True, text=True, check=True
    )
    assert held < int(ran.stdout) < 2 * held


def test_ratios_are_quotients_of_medians_and_name_the_best() -> None:
    def entry(contender: str, dtype: str | None, speeds: list[float], loads: list[float]) -> Entry:
        rounds = [
            {"prefill_tokens_per_second": speed, "load_seconds": load}
            for speed, load in zip(speeds, loads, strict=True)
        ]
        return Entry(contender, dtype, 10, rounds)

    results = Results("x", random=True, entries=[
        entry("aira", None, [10, 40, 20], [1, 1, 1]),
        entry("transformers", "float32", [4, 5, 6], [2, 2, 2]),
        entry("transformers", "bfloat16", [8, 8, 8], [4, 4, 4]),
        entry("llama.cpp", None, [40, 40, 40], [8, 8, 8]),
    ])  # fmt: skip
    results.entries[0].rounds[0]["memory_bytes"] = 7.0  # that nobody else has
    speed = figures(results.entries[0])["prefill_tokens_per_second"]
    assert (speed.median, speed.least, speed.most) == (20, 10, 40)
    found = {(r.figure, r.contender, r.dtype): (r.ratio, r.best) for r in ratios(results)}
    assert found == {
        ("prefill_tokens_per_second", "transformers", "float32"): (4, False),
        ("prefill_tokens_per_second", "transformers", "bfloat16"): (2.5, True),
        ("prefill_tokens_per_second", "llama.cpp", None): (0.5, True),
        ("load_seconds", "transformers", "float32"): (0.5, True),
        ("load_seconds", "transformers", "bfloat16"): (0.25, False),
        ("load_seconds", "llama.cpp", None): (0.125, True),
    }
    assert json.loads(json.dumps(results_object(results)))["name"] == "x"


TABLE = FigureTable("título", ["Medida", "a"], [["x|y", "1,5"], ["z", "–"]], ["uma linha"])


def test_tables_in_markdown_and_in_a_pipe() -> None:
    markdown, plain = io.StringIO(), io.StringIO()
    print_figure_table(markdown, TABLE, markdown=True)
    print_figure_table(plain, TABLE, markdown=False)
    assert markdown.getvalue() == (
        "### título\n\n| Medida | a |\n| --- | ---: |\n| x\\|y | 1,5 |\n| z | – |\n\n"
        "- uma linha\n\n"
    )
    assert plain.getvalue() == "título\nMedida\ta\nx|y\t1,5\nz\t–\numa linha\n\n"


# processes


@pytest.mark.parametrize(
    "order",
    [
        WriteShape("n", {"a": [1]}, "f", None),
        Measure(Load("aira", "p", "cpu", None, 2), [1], [], [1, 4], 8),
    ],
)
def test_orders_arrive_as_they_were_sent(order: Order) -> None:
    assert read(written(order)) == order


def test_a_process_that_fails_says_why() -> None:
    children = Children(os.environ)
    load = Load("aira", "/nowhere", "cpu", None, threads=1)
    with pytest.raises(CheckpointError) as refused:
        children.ask(Measure(load, [1], [], [1], 8))
    assert refused.value.key == "checkpoint_not_found"
    assert refused.value.fields == {"path": "/nowhere"}
    python = [sys.executable, "-c"]
    for script, code, reason in (
        ("import sys; sys.exit('bad luck')", 1, "bad luck"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, "SIGKILL"),
    ):
        with pytest.raises(AiraError) as failed:
            children.seconds_to_first_byte([*python, script])
        assert failed.value.fields == {"code": code, "reason": reason}
    with pytest.raises(AiraError) as silent:
        children.seconds_to_first_byte([*python, ""])
    assert silent.value.key == "bench_child_silent"


def write_tiny_profile(home: Path) -> None:
    folder = home / ".config" / "aira" / "profiles"
    folder.mkdir(parents=True)
    profile = {"source": {"path": "nowhere"}, "architecture": TINY_AWQ}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(profile))


QUICK = ("--rounds", "1", "--prompt-tokens", "4", "--prefill-tokens", "8", "--new-tokens", "8",
         "--samples", "1,2", "--threads", "1")  # fmt: skip


def test_random_weights_side_by_side_as_json(program: Program, tmp_path: Path) -> None:
    write_tiny_profile(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    # llama.cpp starts in a moment; the cards' way takes four processes of several seconds.
    rival = "llama.cpp" if is_installed("llama-cpp-python") else "transformers"
    names = ["aira", "llama.cpp"] if rival == "llama.cpp" else [
        "aira", "transformers float32", "transformers bfloat16"
    ]  # fmt: skip
    command = ("bench", "--shape", "tiny", *QUICK, "--against", rival, "--json")
    ran = program(*command, TMPDIR=str(scratch))
    assert ran.returncode == 0, ran.stderr
    assert f"[1/1] tiny: {names[-1]}" in ran.stderr
    assert list(scratch.iterdir()) == []
    shown = json.loads(ran.stdout)
    assert shown["machine"]["threads"] == 1 and "torch" in shown["machine"]["versions"]
    assert shown["settings"]["samples"] == [1, 2]
    (model,) = shown["models"]
    assert model["random_weights"] is True
    assert [contender["name"] for contender in model["contenders"]] == names
    medians = {}
    for contender in model["contenders"]:
        assert len(contender["rounds"]) == 1 and contender["checkpoint_bytes"] > 100_000
        for figure, found in contender["figures"].items():
            values = [measured[figure] for measured in contender["rounds"]]
            assert found["median"] == statistics.median(values)
            medians[contender["name"], figure] = found["median"]
    assert {figure for name, figure in medians if name == "aira"} == {
        "load_seconds", "prefill_tokens_per_second", "decode_1_tokens_per_second",
        "decode_2_tokens_per_second", "memory_bytes",
    }  # fmt: skip
    assert len(model["ratios"]) == len(names[1:]) * 5
    for ratio in model["ratios"]:
        rival = " ".join(filter(None, (ratio["contender"], ratio["dtype"])))
        quotient = medians["aira", ratio["figure"]] / medians[rival, ratio["figure"]]
        assert ratio["ratio"] == quotient


def test_real_weights_with_starts_and_perplexity_as_markdown(
    program: Program, tmp_path: Path
) -> None:
    """In one process with the command line, which must not import torch itself."""
    save_tiny(tmp_path / "model")
    (tmp_path / "text.txt").write_text("A capital do Brasil é Brasília. " * 5, encoding="utf-8")
    script = (
        "import sys; from aira_cli.cli.boundary import run; code = run(sys.argv[1:]);"
        "print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"
    )
    command = ["bench", str(tmp_path / "model"), *QUICK, "--quality", str(tmp_path / "text.txt"),
               "--markdown", "--lang", "en"]  # fmt: skip
    if is_installed("llama-cpp-python"):
        command += ["--against", "llama.cpp"]
    ran = subprocess.run(
        [sys.executable, "-c", script, *command], env=dict(program.variables),
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[-1] == "False"
    assert not (tmp_path / ".local").exists()  # no history of the person's
    assert "| Figure | aira |\n| --- | ---: |\n" in ran.stdout
    assert "| start to first piece (s) |" in ran.stdout
    if "llama.cpp" in command:
        assert "llama.cpp was left out: there is no GGUF file" in ran.stdout
    rows = [line.split("|")[1:3] for line in ran.stdout.split("perplexity")[-1].splitlines()]
    found = {row[0].strip(): float(row[1]) for row in rows if len(row) == 2 and "." in row[1]}
    assert {"as stored", "float32", "int8"} <= found.keys()
    assert found["int8"] == pytest.approx(found["float32"], rel=0.1)


def test_ctrl_c_ends_the_process_and_leaves_no_files(program: Program, tmp_path: Path) -> None:
    write_tiny_profile(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with subprocess.Popen(
        [program.command, "bench", "--shape", "tiny", *QUICK],
        env={**program.variables, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stderr is not None
        assert running.stderr.readline().startswith("tiny: escrevendo")
        child = measuring_process(running.pid)
        assert list(scratch.glob("aira-bench-*"))
        os.kill(int(child.name), signal.SIGSTOP)  # it will not end by itself
        running.send_signal(signal.SIGINT)
        out, said = running.communicate(timeout=60)
    assert (running.returncode, out, said) == (130, "", "")
    assert list(scratch.iterdir()) == []
    assert not child.exists()


def measuring_process(parent: int) -> Path:
    """The /proc folder of the child of `parent` that measures, once it is under way."""
    for _ in range(100):
        time.sleep(0.1)
        for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            child = Path("/proc", pid)
            if b"aira_cli.bench.child" in (child / "cmdline").read_bytes():
                return child
    raise AssertionError("nothing measures")


# what a person can get wrong


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--samples", "0"], "--samples"),
        (["--samples", "1,x"], "--samples"),
        (["--rounds", "0"], "--rounds"),
        (["--new-tokens", "3"], "--new-tokens"),
        (["--threads", "0"], "--threads"),
        (["--dtype", "int3"], "int3"),
        (["--device", "tpu"], "tpu"),
        (["--against", "vllm"], "transformers, llama.cpp"),
        (["--json", "--markdown"], "--markdown"),
        (["--quality", "/nowhere.txt"], "/nowhere.txt"),
        (["--shape", "ttl-460m", "--quality", __file__], "--shape"),
        (["--no-such-flag"], "--no-such-flag"),
    ],
)
def test_wrong_flags_are_named(arguments: list[str], said: str, tmp_path: Path) -> None:
    ran = Person(tmp_path)("bench", *arguments)
    assert (ran.code, ran.out) == (2, "") and said in ran.err


def test_names_and_shapes_that_nobody_has(tmp_path: Path) -> None:
    person = Person(tmp_path)
    person.write_profile("bare", "source: {hub: a/b}\n")
    for arguments, code, said in (
        (["ttl-460"], 3, "ttl-460m"),
        (["--shape", "ttl-460"], 3, "ttl-460m"),
        (["--shape", "bare"], 2, "architecture"),
    ):
        ran = person("bench", *arguments)
        assert (ran.code, ran.out) == (code, "") and said in ran.err


def test_a_prompt_longer_than_the_context_is_refused(tmp_path: Path) -> None:
    subject = real_subject("x", shape_in(tmp_path / "shape", LLAMA), tmp_path)
    assert len(subject.prompt_ids(250, 6)) == 250
    with pytest.raises(ContextError) as raised:
        subject.prompt_ids(250, 7)
    assert raised.value.fields == {"tokens": 257, "context": 256}


def test_llama_cpp_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aira_cli.bench.machine.importlib.metadata.version", _not_there)
    ran = Person(tmp_path)("bench", "--against", "llama.cpp")
    assert ran.code == 2 and "pip install llama-cpp-python" in ran.err


def _not_there(name: str) -> str:
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError(name)
