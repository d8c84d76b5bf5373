"""Adapters from the command line, profiles, a hub and the program itself, as a person uses them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import aira_cli
from aira_cli.bench.ours import load_ours
from aira_cli.bench.rounds import Entry, Run, Settings
from aira_cli.bench.subjects import real_subject
from aira_cli.cli.flags import ModelFlags
from aira_cli.engine.open import Place, open_model
from aira_cli.profiles.schema import Profile
from aira_cli.types import LocalSource, PackagedSource
from tests.hub_server import HubServer
from tests.run_inside import Person
from tests.tiny_adapters import save_adapter
from tests.tiny_checkpoints import save_tiny

ASKED = ("--greedy", "--max-new-tokens", "12", "--dtype", "float32", "-q", "--seed", "1")
WORDS = "um dia"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base, adapter, other (an adapter for other sizes), and merged, which PEFT wrote."""
    folder = tmp_path_factory.mktemp("made")
    merged = save_adapter(folder / "adapter", save_tiny(folder / "base"))
    shutil.copytree(folder / "base", folder / "merged")
    merged.save_pretrained(folder / "merged")
    save_adapter(folder / "other", save_tiny(folder / "wide", intermediate_size=96))
    return folder


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def ask(person: Person, model: Path | str, *more: str) -> str:
    ran = person("ask", WORDS, "--model", str(model), *ASKED, *more, AIRA_KERNELS="torch")
    assert (ran.code, ran.err) == (0, "")
    return ran.out


def test_ask_and_chat_answer_as_the_merged_model(made: Path, person: Person) -> None:
    expected = ask(person, made / "merged")
    assert ask(person, made / "base") != expected
    adapted = ("--adapter", str(made / "adapter"))
    assert ask(person, made / "base", *adapted) == expected
    piped = person("chat", "--model", str(made / "base"), *ASKED, *adapted,
                   stdin=WORDS.encode(), AIRA_KERNELS="torch")  # fmt: skip
    assert (piped.code, piped.out) == (0, expected)


def test_a_profile_names_it_and_the_flag_overrides_it(made: Path, person: Person) -> None:
    expected, plain = ask(person, made / "merged"), ask(person, made / "base")
    profile = f"source: {{path: {made / 'base'}}}\nadapter: {{path: ../../../adapter}}\n"
    person.write_profile("mine", profile)
    person.write_profile("elsewhere", "extends: mine\nadapter: {hub: org/lora}\n")
    person.write_profile("bare", "extends: mine\nadapter: null\n")
    person.write_profile("wrong", f"extends: mine\nadapter: {{path: {made / 'other'}}}\n")
    beside = person.home.parent / "adapter"  # three folders above the profile
    shutil.copytree(made / "adapter", beside)
    try:
        assert ask(person, "mine") == expected
        assert ask(person, "bare") == plain
        wrong = person("ask", WORDS, "--model", "wrong", *ASKED, AIRA_KERNELS="torch")
        assert wrong.code == 1 and "layers.0.mlp." in wrong.err and "96" in wrong.err
        assert ask(person, "wrong", "--adapter", str(made / "adapter")) == expected
        shown = person("models", "show", "mine").out
        assert "org/lora" in person("models", "show", "elsewhere").out
        assert "Adapter" in shown and shown.count("../../../adapter") == 2  # a fact, and the YAML
    finally:
        shutil.rmtree(beside)


def test_dry_run_needs_no_weights(made: Path, person: Person, tmp_path: Path) -> None:
    base = tmp_path / "small"
    shutil.copytree(made / "base", base)
    adapter = tmp_path / "empty"
    adapter.mkdir()
    for file in base.glob("*.safetensors"):
        file.unlink()
    ran = person(
        "ask", WORDS, "--model", str(base), "--dry-run", "--adapter", str(adapter), "--offline"
    )
    assert (ran.code, ran.err) == (0, "") and "um" in ran.out


@pytest.mark.parametrize("command", [["ask", "x"], ["chat"], ["bench"]])
@pytest.mark.parametrize("lang", ["pt", "en"])
def test_a_path_that_is_no_folder(command: list[str], lang: str, tmp_path: Path) -> None:
    ran = Person(tmp_path, lang)(*command, "--adapter", "/nowhere/at/all")
    assert (ran.code, ran.out) == (2, "")
    assert "/nowhere/at/all" in ran.err and "adapter_config.json" in ran.err


def test_made_for_another_model_is_a_note_for_debug(made: Path, person: Person) -> None:
    command = ("ask", WORDS, "--model", str(made / "base"), "--adapter", str(made / "adapter"))
    ran = person(*command, *ASKED, "--debug", AIRA_KERNELS="torch")
    assert ran.code == 0
    (note,) = [line for line in ran.err.splitlines() if "checkpoints.adapter" in line]
    assert str(made / "adapter") in note and str(made / "base") in note


# the hub


HUB_SCRIPT = "import sys; from aira_cli.cli.boundary import run; sys.exit(run(sys.argv[1:]))"


def run_with_hub(home: Path, hub: HubServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "AIRA_", "XDG_"))}
    variables = kept | {"HOME": str(home), "HF_HOME": str(home / "hf"), "AIRA_LANG": "en",
                        "HF_ENDPOINT": hub.endpoint, "AIRA_KERNELS": "torch"}  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", HUB_SCRIPT, *arguments],
        env=variables, capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pull_gets_it_from_a_hub_and_rm_removes_it(made: Path, tmp_path: Path) -> None:
    repository = files_of(made / "adapter")
    assert "README.md" in repository
    pickled = {"adapter_config.json": b"{}", "adapter_model.bin": b"x"}
    repositories = {"org/lora": repository, "org/pickled": pickled, "org/none": {"a": b""}}
    hub = HubServer(repositories | {"org/base": files_of(made / "base")})
    folder = tmp_path / ".config" / "aira" / "profiles"
    folder.mkdir(parents=True)
    for name in ("lora", "pickled", "none"):
        text = f"source: {{hub: org/base}}\nadapter: {{hub: org/{name}}}\n"
        (folder / f"{name}.yaml").write_text(text)
    (folder / "file.yaml").write_text("extends: lora\nadapter: {hub: org/lora, file: a.gguf}\n")
    with hub:
        pulled = run_with_hub(tmp_path, hub, "models", "pull", "-q", "lora")
        assert (pulled.returncode, pulled.stderr) == (0, "")
        fetched = ["adapter_config.json", "adapter_model.safetensors"]
        assert hub.downloads()[:2] == fetched  # the small ones first
        assert hub.downloads()[-1] == "model.safetensors" and "README.md" not in hub.downloads()
        for name, code, said in (
            ("pickled", 1, "adapter_model.bin"), ("none", 1, "adapter_config.json"),
            ("file", 2, "a.gguf"),
        ):  # fmt: skip
            ran = run_with_hub(tmp_path, hub, "models", "pull", "-q", name)
            assert ran.returncode == code and said in ran.stderr
        assert "adapter_model.bin" not in hub.downloads()
    expected = ask(Person(tmp_path / "other"), made / "merged")
    asked = ("ask", WORDS, "--model", "lora", *ASKED, "--offline")
    answered = run_with_hub(tmp_path, hub, *asked)  # the hub is gone
    assert (answered.returncode, answered.stdout) == (0, expected)
    assert run_with_hub(tmp_path, hub, "models", "rm", "lora").returncode == 0
    assert list((tmp_path / "hf").rglob("*.safetensors")) == []


# inside the program


def test_an_adapter_that_comes_with_the_program(made: Path, tmp_path: Path) -> None:
    """The package is copied, so that nothing is put into the one that is tested."""
    package = Path(aira_cli.__file__).parent
    ours = tmp_path / "program" / "aira_cli"
    shutil.copytree(package, ours, ignore=shutil.ignore_patterns("__pycache__", "adapters"))
    inside = package / "configs"
    configs = inside if inside.is_dir() else package.parent / "configs"
    shutil.copytree(configs, ours / "configs", dirs_exist_ok=True)
    shutil.copytree(made / "adapter", ours / "adapters" / "tiny")
    shutil.copytree(made / "adapter", tmp_path / "outside")
    profile = tmp_path / "mine.yaml"
    variables = {"PATH": "/usr/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ours.parent),
                 "AIRA_LANG": "en", "AIRA_KERNELS": "torch", "PYTHONUTF8": "1"}  # fmt: skip
    asked = ["ask", WORDS, "-m", str(profile), *ASKED]
    pulled = ["models", "pull", str(profile), "-q"]
    for name, command, code in (
        ("tiny", asked, 0),
        ("huge", pulled, 3),
        ("../../../outside", pulled, 3),
    ):
        profile.write_text(f"source: {{path: {made / 'base'}}}\nadapter: {{packaged: {name}}}\n")
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "aira_cli", *command],
            env=variables, cwd=tmp_path, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert ran.returncode == code, ran.stderr
        if code == 0:
            assert ran.stdout == ask(Person(tmp_path / "other"), made / "merged")
        else:
            assert name in ran.stderr and ": tiny." in ran.stderr


# other faces


def test_a_prepared_copy_is_shown_with_the_profile_that_names_the_adapter(
    made: Path, person: Person, kernels_folder: Path
) -> None:
    person.write_profile("plain", f"source: {{path: {made / 'base'}}}\n")
    person.write_profile("mine", f"extends: plain\nadapter: {{path: {made / 'adapter'}}}\n")
    native = person.home / "cache" / "native"
    native.parent.mkdir()
    native.symlink_to(kernels_folder)
    for name in ("plain", "mine"):
        asked = ("ask", WORDS, "-m", name, "--dtype", "int8", "-q", "--max-new-tokens", "2")
        assert person(*asked).code == 0
    shown = {name: person("models", "show", name).out for name in ("plain", "mine")}
    assert shown["plain"].count(".safetensors (") == 2
    assert shown["mine"].count(".safetensors (") == 1
    removed = person("models", "rm", "mine", "--prepared").out
    assert "1" in removed
    assert person("models", "show", "plain").out.count(".safetensors (") == 1


@pytest.fixture
def settings() -> Settings:
    return Settings((1,), 4, 8, 4, 1, "float32", "cpu", 1, None, True)


def test_bench_measures_the_adapted_model(made: Path, tmp_path: Path, settings: Settings) -> None:
    subject = real_subject("x", made / "base", tmp_path, made / "adapter")
    run = Run(None, settings, subject, lambda *_: None)  # type: ignore[arg-type]
    ours = load_ours(run._load(Entry("aira", "float32", 0)))
    profile = Profile(name="x", source=LocalSource(str(made / "merged")))
    place = Place(tmp_path, offline=True, progress=lambda *_: None, native=False)
    engine: Any = open_model(profile, place, "cpu", "float32")[1]
    ids = [[5, 6, 7]]
    import torch

    found, expected = (
        model.prefill(torch.tensor(ids), model.new_cache()) for model in (ours, engine._model)
    )
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert str(made / "adapter") in run._ask_command()


def test_bench_hands_the_flag_to_the_measuring_process(made: Path, person: Person) -> None:
    command = ("bench", str(made / "base"), "--adapter", str(made / "other"), "--samples", "1")
    ran = person(*command, "--rounds", "1", AIRA_KERNELS="torch")
    assert (ran.code, ran.out) == (1, "")
    assert str(made / "other" / "adapter_model.safetensors") in ran.err


def test_llama_cpp_has_no_file_with_the_adapter_in_it(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    assert real_subject("x", file, tmp_path).gguf == file
    assert real_subject("x", file, tmp_path, tmp_path).gguf is None


def test_bench_of_random_weights_takes_none(made: Path, person: Person) -> None:
    ran = person("bench", "--shape", "ttl-460m", "--adapter", str(made / "adapter"))
    assert (ran.code, ran.out) == (2, "") and "--shape" in ran.err


def test_the_flag_is_for_one_model_alone(made: Path) -> None:
    chosen = ModelFlags("a", None, None, False, False, made / "adapter")
    first = Profile(name="a", source=LocalSource("x"), adapter=PackagedSource("tiny"))
    from aira_cli.cli.chat import _other

    assert _other(chosen, "a", first).adapted(first).adapter == LocalSource(str(made / "adapter"))
    assert _other(chosen, "b", first).adapted(first).adapter == PackagedSource("tiny")
