"""Too little memory: what a model is said to need, what is said to be free, and the refusal."""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from gguf import GGMLQuantizationType as Kind
from torch import nn

from aira_cli.checkpoints.forms import Form
from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.choose import Use
from aira_cli.engine.local.device import Precision, pick_precision
from aira_cli.engine.local.load import load_model, own_architecture
from aira_cli.engine.local.memory import (
    Part,
    free_bytes,
    own_parts,
    require_memory,
    weights_bytes,
    whole_parts,
)
from aira_cli.errors import AiraError
from aira_cli.i18n import translator
from aira_cli.printable import Size
from tests import tiny_tokenizers
from tests.conftest import FIXTURES, Program
from tests.run_inside import Person
from tests.test_gguf import random_llama, write_llama
from tests.tiny_checkpoints import save_tiny

CPU = torch.device("cpu")
SIZES = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
         "num_attention_heads": 4, "vocab_size": 300}  # fmt: skip
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", SIZES),
    "llama-tied": ("llama", SIZES | {"tie_word_embeddings": True}),
    "llama-odd": ("llama", SIZES | {"hidden_size": 120, "intermediate_size": 200}),
    "bloom": ("bloom", {"hidden_size": 128, "n_layer": 2, "n_head": 4, "vocab_size": 300}),
    "gpt2": ("gpt2", {"n_embd": 128, "n_layer": 2, "n_head": 4, "vocab_size": 300}),
    "gpt_neox": ("gpt_neox", SIZES),
}
WARNING = {
    "pt": "Aviso: --dtype int4 só arredonda os pesos de plain a 4 bits: as respostas pioram.",
    "en": (
        "Warning: --dtype int4 is plain rounding of plain's weights to 4 bits: answers get worse."
    ),
}
KINDS = (Kind.F16, Kind.Q4_0, Kind.Q4_1, Kind.Q8_0)


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The path of a tiny checkpoint by its name, written when it is first asked for."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def path_of(name: str) -> Path:
        if name == "awq":
            return FIXTURES / "llama-tiny-awq"
        path = folder / name
        if path.exists():
            return path
        if name in Kind.__members__:
            model = random_llama(intermediate_size=256, vocab_size=320)
            return write_llama(path.with_suffix(".gguf"), model, Kind[name]).rename(path)
        base, _, dtype = name.partition(" in ")
        model_type, fields = CONFIGURATIONS[base]
        config = transformers.AutoConfig.for_model(model_type, **fields)
        model = transformers.AutoModelForCausalLM.from_config(config)
        model.to(getattr(torch, dtype)).save_pretrained(path)
        return path

    return path_of


def bytes_in(model: nn.Module) -> int:
    """The memory of all tensors of a loaded model, each piece of it counted once."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.nbytes
        for tensor in [*model.parameters(), *model.buffers()]
    }
    return sum(storages.values())


# what is needed


NAMES = [
    *(f"{name} in {dtype}" for name in CONFIGURATIONS for dtype in ("float32", "float16")),
    "awq",
    *(kind.name for kind in KINDS),
]


@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16", "float16", "int8", "int4"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("computing")
def test_the_need_is_what_a_loaded_model_takes(
    checkpoint_of: Callable[[str], Path], name: str, dtype: str | None
) -> None:
    if name.startswith("gpt_neox") and dtype in ("int8", "int4"):
        pytest.skip("rounded weights need a decoder of ours")
    checkpoint = open_checkpoint(checkpoint_of(name))
    precision = pick_precision(dtype, CPU)
    loaded: Any = load_model(checkpoint, CPU, precision)
    module = own_architecture(checkpoint.config)
    if module is None:
        parts = whole_parts(checkpoint)
    else:
        with torch.device("meta"):
            model = module.Model(module.config_of(checkpoint.config))
        parts = own_parts(model, checkpoint, module.BASE_PREFIX)
    needed, taken = weights_bytes(parts, CPU, precision), bytes_in(loaded._model)
    assert 0.85 * taken <= needed <= 1.15 * taken


# what is free


GIB = 1 << 30


def a_machine(root: Path, files: dict[str, str]) -> Path:
    """A root folder with 8 GiB to give, in a control group as far as `files` say so."""
    files = {"proc/meminfo": f"MemTotal: {16 << 20} kB\nMemAvailable: {8 << 20} kB\n"} | files
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def second_version(folder: str, limit: str, used: int, cached: int) -> dict[str, str]:
    return {
        f"sys/fs/cgroup/{folder}memory.max": limit + "\n",
        f"sys/fs/cgroup/{folder}memory.current": f"{used}\n",
        f"sys/fs/cgroup/{folder}memory.stat": f"anon 5\ninactive_file {cached}\nactive_file 7\n",
    }


def first_version(folder: str, limit: int, used: int, cached: int) -> dict[str, str]:
    return {
        f"sys/fs/cgroup/memory/{folder}memory.limit_in_bytes": f"{limit}\n",
        f"sys/fs/cgroup/memory/{folder}memory.usage_in_bytes": f"{used}\n",
        f"sys/fs/cgroup/memory/{folder}memory.stat": (
            f"inactive_file 3\ntotal_inactive_file {cached}\ntotal_active_file 7\n"
        ),
    }


IN_SECOND = {"proc/self/cgroup": "0::/user/me\n"}
IN_FIRST = {"proc/self/cgroup": "3:cpuset:/elsewhere\n2:memory:/docker/1\n0::/\n"}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 8 * GIB),
        (IN_SECOND | second_version("user/me/", str(4 * GIB), 3 * GIB, GIB), 2 * GIB + 7),
        (IN_SECOND | second_version("user/me/", "max", 3 * GIB, GIB), 8 * GIB),
        (IN_SECOND | second_version("user/me/", str(64 * GIB), 3 * GIB, GIB), 8 * GIB),
        (IN_SECOND | second_version("", str(2 * GIB), GIB, 0), GIB + 7),
        (IN_SECOND | second_version("user/me/", str(GIB), 2 * GIB, 0), 0),
        (IN_FIRST | first_version("docker/1/", 4 * GIB, 3 * GIB, GIB), 2 * GIB + 7),
        (IN_FIRST | first_version("", 2 * GIB, GIB, 0), GIB + 7),
        (IN_FIRST | first_version("docker/1/", 2**63 - 4096, GIB, 0), 8 * GIB),
        (IN_SECOND | second_version("user/me/", "many", GIB, 0), None),
        ({"proc/meminfo": "MemTotal: 16 kB\n"}, None),
    ],
    ids=[
        "no group", "second", "second without a limit", "second with a high limit",
        "second, outermost", "second, over its limit", "first", "first, outermost",
        "first without a limit", "not a number", "an old kernel",
    ],
)  # fmt: skip
def test_free_is_the_least_of_the_machine_and_its_groups(
    tmp_path: Path, files: dict[str, str], free: int | None
) -> None:
    assert free_bytes(CPU, a_machine(tmp_path, files)) == free


def test_nothing_is_known_where_there_is_no_proc(tmp_path: Path) -> None:
    assert free_bytes(CPU, tmp_path) is None
    assert free_bytes(torch.device("mps")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_this_machine_has_less_free_than_it_has() -> None:
    free = free_bytes(CPU)
    assert free is not None
    assert 0 < free < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


# the refusal


LINEAR = [Part(Form((1_000_000, 1024), 16), Use(multiplies=True, vocabulary=False))]
BFLOAT16, FLOAT32 = Precision(torch.bfloat16, "dense"), Precision(torch.float32, "dense")


def refusal(free: int | None, precision: Precision, smaller: tuple[str, ...]) -> AiraError | None:
    try:
        require_memory(LINEAR, CPU, precision, smaller=smaller, free=lambda _: free)
    except AiraError as error:
        return error
    return None


def test_the_first_smaller_choice_that_fits_is_named() -> None:
    both = ("int8", "int4")
    assert refusal(None, FLOAT32, both) is None
    assert refusal(4_900_000_000, FLOAT32, both) is None
    for free, choice in ((4_700, "int8"), (1_500, "int8"), (1_300, "int4")):
        error = refusal(free * 1_000_000, FLOAT32, both)
        assert error is not None and error.key == "memory_short"
        assert error.fields["choice"] == f"--dtype {choice}"
    error = refusal(900_000_000, FLOAT32, both)
    assert error is not None and error.key == "memory_too_short"
    error = refusal(2_600_000_000, FLOAT32, ("bfloat16",))
    assert error is not None and error.fields["choice"] == "--dtype bfloat16"
    error = refusal(2_300_000_000, BFLOAT16, ("bfloat16",))
    assert error is not None and error.key == "memory_too_short"


def test_sizes_are_said_in_the_language() -> None:
    error = refusal(1_300_000_000, FLOAT32, ("int8", "int4"))
    assert error is not None
    portuguese = translator("pt")(f"error.{error.key}", **error.fields)
    assert "4,81 GB" in portuguese and "1,3 GB" in portuguese and "--dtype int4" in portuguese
    english = translator("en")(f"error.{error.key}", **error.fields)
    assert "about 4.81 GB" in english and "1.3 GB are free" in english


@pytest.mark.parametrize(
    ("nbytes", "said"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (12_345, "12.3 kB"), (999_499_999, "999 MB"),
     (999_600_000, "1 GB"), (1_230_000_000, "1.23 GB"), (250_000_000_000, "250 GB")],
)  # fmt: skip
def test_sizes_have_three_digits(nbytes: int, said: str) -> None:
    assert str(Size(nbytes)) == said


def write_giant(folder: Path, least: int) -> None:
    """A Llama in float16 whose weights are a hole in a sparse file of at least `least` bytes."""
    save_tiny(folder)
    layer = 2 * (4 * 8192 * 8192 + 3 * 8192 * 65536)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_size": 8192, "intermediate_size": 65536,
               "num_attention_heads": 64, "num_key_value_heads": 64, "head_dim": 128,
               "num_hidden_layers": least // layer + 1}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    with torch.device("meta"):
        settings = transformers.AutoConfig.from_pretrained(folder)
        model = transformers.AutoModelForCausalLM.from_config(settings)
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in model.state_dict().items():
        start, end = end, end + 2 * tensor.numel()
        header[name] = {
            "dtype": "F16", "shape": list(tensor.shape), "data_offsets": [start, end]
        }  # fmt: skip
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system what is free")
def test_a_model_four_times_the_machine_is_refused_before_it_is_read(
    program: Program, tmp_path: Path
) -> None:
    """The real program, a real file and the real machine; a limit, should it read after all."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    write_giant(tmp_path / "giant", 4 * machine)
    limit = min(8 * GIB, machine // 2)
    ran = subprocess.run(
        [program.command, "ask", "olá", "-m", str(tmp_path / "giant")],
        env=dict(program.variables), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (1, "")
    first, second = ran.stderr.splitlines()
    need, unit = first.removeprefix("Erro: Este modelo precisa de cerca de ").split()[:2]
    assert unit == "GB" and float(need.replace(",", ".")) >= 4 * machine / 1e9
    assert "modelo menor" in second and "--dtype" not in second


# weights rounded to fewer bits because they were asked for


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_plain_rounding_to_4_bits_is_warned_of(tmp_path: Path, lang: str) -> None:
    person = Person(tmp_path, lang)
    save_tiny(tmp_path / "plain")
    ask = ("ask", "olá", "-m", str(tmp_path / "plain"), "-n", "1", "--max-new-tokens", "2")
    ran = person(*ask, "--dtype", "int4", AIRA_KERNELS="torch")
    assert (ran.code, ran.err) == (0, f"{WARNING[lang]}\n")
    for flags in (("--dtype", "int4", "-q"), ("--dtype", "int8"), ()):
        ran = person(*ask, *flags, AIRA_KERNELS="torch")
        assert (ran.code, ran.err) == (0, "")


def test_weights_of_4_bits_are_not_rounded_again(tmp_path: Path) -> None:
    folder = tmp_path / "awq"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(FIXTURES / "llama-tiny-awq" / name, folder)
    tiny_tokenizers.save(tiny_tokenizers.sentencepiece(), folder)
    ask = ("ask", "olá", "-m", str(folder), "--raw", "--max-new-tokens", "2")
    ran = Person(tmp_path)(*ask, "--dtype", "int4", AIRA_KERNELS="torch")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_rounded_weights_need_a_decoder_of_ours(tmp_path: Path, dtype: str) -> None:
    save_tiny(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "mistral"}))
    for lang in ("pt", "en"):
        person = Person(tmp_path, lang)
        ran = person("ask", "olá", "-m", str(tmp_path), "--dtype", dtype, AIRA_KERNELS="torch")
        assert (ran.code, ran.out) == (2, "")
        assert f"--dtype {dtype} " in ran.err and "mistral" in ran.err
