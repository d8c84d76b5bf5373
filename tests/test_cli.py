"""The command line on tiny checkpoints: what each flag does, and what wrong input is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from aira_cli.i18n import CATALOGUES
from tests.run_inside import Person
from tests.tiny_checkpoints import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_tiny(folder)
    return str(folder)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


ASK = ("--max-new-tokens", "8", "--seed", "3", "--temperature", "1")


def ask(person: Person, tiny: str, *flags: str, **options: object) -> list[dict[str, object]]:
    ran = person("ask", "olá", "-m", tiny, *ASK, "--json", *flags, **options)  # type: ignore[arg-type]
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


# what flags do


def test_json_has_one_object_a_sample(person: Person, tiny: str) -> None:
    rows = ask(person, tiny, "-n", "3")
    keys = ["model", "prompt", "row", "text", "finish_reason", "prompt_tokens", "tokens", "seed"]
    assert [list(row) for row in rows] == [keys] * 3
    assert [(row["row"], row["seed"], row["prompt"]) for row in rows] == [
        (0, 3, "olá"), (1, 4, "olá"), (2, 5, "olá")
    ]  # fmt: skip


def test_a_sample_can_be_asked_for_again_by_its_seed(person: Person, tiny: str) -> None:
    third = ask(person, tiny, "-n", "3")[2]
    again = ask(person, tiny, "-n", "1", "--seed", str(third["seed"]))[0]
    assert (again["text"], again["tokens"]) == (third["text"], third["tokens"])


def test_words_and_stdin_are_joined_by_a_blank_line(person: Person, tiny: str) -> None:
    ran = person("ask", "Resuma", "isto:", "-m", tiny, *ASK, "--json", stdin="a\nçã\n".encode())
    assert json.loads(ran.out.splitlines()[0])["prompt"] == "Resuma isto:\n\na\nçã"
    ran = person("ask", "-", "-m", tiny, *ASK, "--json", stdin=b"\xef\xbb\xbfs\xc3\xb3\r\nisto")
    assert json.loads(ran.out.splitlines()[0])["prompt"] == "só\nisto"


def test_greedy_draws_one_answer_and_says_so(person: Person, tiny: str) -> None:
    ran = person("ask", "olá", "-m", tiny, "--greedy", "-n", "3", "--json", "--max-new-tokens", "4")
    assert len(ran.out.splitlines()) == 1
    assert "only one" in ran.err


def test_one_sample_into_a_pipe_is_its_text_alone(person: Person, tiny: str) -> None:
    text = ask(person, tiny, "-n", "1")[0]["text"]
    for flags in ((), ("--no-stream",)):
        ran = person("ask", "olá", "-m", tiny, *ASK, "-n", "1", *flags)
        assert (ran.out, ran.err) == (str(text).strip() + "\n", "")


def test_several_into_a_pipe_are_numbered(person: Person, tiny: str) -> None:
    texts = [str(row["text"]).strip() for row in ask(person, tiny, "-n", "2")]
    ran = person("ask", "olá", "-m", tiny, *ASK, "-n", "2")
    assert ran.out == (f"Question: 👤 olá\n\nAnswer 1: 🤖 {texts[0]}\nAnswer 2: 🤖 {texts[1]}\n")


def test_stats_go_to_stderr_with_the_seed(person: Person, tiny: str) -> None:
    ran = person("ask", "olá", "-m", tiny, *ASK, "--stats", "-n", "1")
    assert "tokens/s" in ran.err and "seed 3" in ran.err and "tokens/s" not in ran.out


def test_dry_run_shows_segments_and_ids_and_loads_no_weights(
    person: Person, tiny: str, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"  # the same folder without its weights
    bare.mkdir()
    for file in Path(tiny).iterdir():
        if file.suffix != ".safetensors":
            (bare / file.name).write_bytes(file.read_bytes())
    ran = person("ask", "oi</s>", "-m", str(bare), "--dry-run", "--json")
    assert ran.code == 0, ran.err
    content = json.loads(ran.out)
    pieces = [segment["piece"] for segment in content["segments"] if "piece" in segment]
    assert pieces == ["<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert {"text": "oi</s>"} in content["segments"]
    shown = person("ask", "oi</s>", "-m", str(bare), "--dry-run").out
    assert "control" in shown and " ".join(map(str, content["ids"])) in shown


def test_raw_sends_no_format(person: Person, tiny: str) -> None:
    ran = person("ask", "oi", "-m", tiny, "--raw", "--dry-run", "--json")
    assert json.loads(ran.out)["segments"] == [{"text": "oi"}]


def test_stop_strings_end_an_answer(person: Person, tiny: str) -> None:
    text = str(ask(person, tiny, "-n", "1")[0]["text"])
    stop = text[3:5]
    row = ask(person, tiny, "-n", "1", "--stop", stop)[0]
    assert (row["text"], row["finish_reason"]) == (text[: text.index(stop)], "stop")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int8"])
def test_number_types_are_chosen_by_flag(person: Person, tiny: str, dtype: str) -> None:
    assert len(ask(person, tiny, "--dtype", dtype)) == 2


@pytest.mark.parametrize("model_type", ["llama", "bloom", "gpt2"])
@pytest.mark.parametrize("form", ["aira", "ttl"])
def test_both_families_answer_from_a_profile(
    person: Person, tmp_path: Path, model_type: str, form: str
) -> None:
    folder = tmp_path / "weights"
    save_tiny(folder, model_type, chat_template=None, shard="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    person.write_profile("mine", f"source: {{path: {folder}}}\nprompt_format: {form}\n")
    rows = ask(person, "mine")
    assert len(rows) == 2 and rows[0]["model"] == "mine"


def test_a_profile_sets_what_no_flag_says(person: Person, tiny: str) -> None:
    person.write_profile("mine", f"source: {{path: {tiny}}}\nsampling: {{samples: 4}}\n")
    person.write_profile("mine-3", "extends: mine\nsampling: {max_new_tokens: 2}\n")
    assert len(ask(person, "mine")) == 4
    ran = person("ask", "olá", "-m", "mine-3", "--json")
    assert [json.loads(line)["tokens"] <= 2 for line in ran.out.splitlines()] == [True] * 4


def test_the_model_is_chosen_by_flag_then_variable_then_file(person: Person, tiny: str) -> None:
    for name in ("by-flag", "by-variable", "by-file"):
        person.write_profile(name, f"source: {{path: {tiny}}}\n")
    (person.home / "config" / "config.yaml").write_text("model: by-file\n")

    def model(*flags: str, **variables: str) -> object:
        ran = person("ask", "olá", *ASK, "--json", "-n", "1", *flags, **variables)
        return json.loads(ran.out)["model"]

    assert model("-m", "by-flag", AIRA_MODEL="by-variable") == "by-flag"
    assert model(AIRA_MODEL="by-variable") == "by-variable"
    assert model() == "by-file"


def test_generated_control_characters_and_markup_are_only_text(
    person: Person, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model made to say escape codes and Rich markup: the terminal gets neither."""
    from aira_cli.prompts.tokenizer import Tokenizer

    evil = "\x1b]0;owned\x07\x1b[2J[bold red]a[/]\x9b31m\r\u202e"
    monkeypatch.setattr(Tokenizer, "decode", lambda self, ids: evil * len(list(ids)))
    for terminal in (False, True):
        out = person("ask", "olá", "-m", tiny, *ASK, "--no-stream", terminal=terminal).out
        assert "[bold red]a[/]" in out
        assert "\x1b]" not in out and "\x1b[2J" not in out
        assert not {"\x07", "\x9b", "\u202e"} & set(out)


# wrong input: what is said, and the exit code


def wrong(person: Person, *arguments: str, code: int, says: str, **options: object) -> None:
    """In both languages: the exit code, one or two lines, no traceback; `says` in English."""
    for lang in ("pt", "en"):
        person.lang = lang
        ran = person(*arguments, **options)  # type: ignore[arg-type]
        assert ran.code == code, ran.err
        assert ran.out == "" and "Traceback" not in ran.err
        assert 1 <= len(ran.err.strip().splitlines()) <= 3
        assert ran.err.startswith(CATALOGUES[lang]["error.prefix"])
    assert says in ran.err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("-n", "0"), "--samples cannot be 0; allowed is ≥ 1, ≤ 256"),
        (("-t", "-1"), "--temperature cannot be -1.0; allowed is ≥ 0"),
        (("--top-p", "0"), "--top-p cannot be 0.0; allowed is > 0, ≤ 1"),
        (("--top-p", "2"), "--top-p cannot be 2.0"),
        (("--top-k", "-3"), "--top-k cannot be -3"),
        (("-t", "nan"), "--temperature cannot be nan"),
        (("--repetition-penalty", "0"), "--repetition-penalty cannot be 0.0"),
        (("--max-new-tokens", "0"), "--max-new-tokens cannot be 0"),
        (("--seed", "-1"), "--seed cannot be -1"),
        (("--stop", ""), "--stop cannot be empty"),
        (("-n", "dois"), "--samples: the value 'dois'"),
        (("--greedy", "-t", "0.5"), "contradict"),
        (("--temprature", "1"), "--temperature"),
        (("--device", "tpu9"), "--device 'tpu9' is no device"),
        (("--device", "cuda:7"), "no device cuda:7"),
        (("--dtype", "int3"), "float32, bfloat16, float16, int8"),
    ],
)
def test_flags_out_of_range(person: Person, tiny: str, flags: tuple[str, ...], says: str) -> None:
    wrong(person, "ask", "olá", "-m", tiny, *flags, code=2, says=says)


def test_an_unknown_model_is_told_its_nearest_names(person: Person) -> None:
    wrong(person, "ask", "olá", "-m", "ttl-460", code=3, says="ttl-460m")
    wrong(person, "models", "show", "smolm2", code=3, says="smollm2-135m")
    wrong(person, "ask", "olá", "-m", "./nada", code=3, says="./nada")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source: {hub: a/b\n", "line 2: malformed YAML"),
        ("source: {hub: a/b}\ntemprature: 1\n", "line 2: there is no key `temprature`"),
        ("source:\n  hub: a/b\n  brnch: x\n", "line 3: there is no key `source.brnch`"),
        ("source: {hub: a/b}\nsampling:\n  top_p: 7\n", "line 3: the value 7"),
        ("prompt_format: ttl\n", "the key `source` is missing"),
        ("source: {hub: a/b}\nprompt_format: alpaca\n", "line 2: the value 'alpaca'"),
        ("- a\n- b\n", "pairs"),
        ("extends: nobody\n", "`extends: nobody`"),
        ("extends: bad\n", "bad"),
    ],
)
def test_a_wrong_profile_is_told_its_line(person: Person, text: str, says: str) -> None:
    path = person.write_profile("bad", text)
    wrong(person, "ask", "olá", "-m", "bad", code=2, says=says)
    assert str(path) in person("ask", "olá", "-m", "bad").err
    listed = person("models", "list")  # one bad file must not hide the others
    assert listed.code == 0 and "ttl-460m-awq" in listed.out and str(path) in listed.err


def test_prompts_that_cannot_be_sent(person: Person, tiny: str) -> None:
    wrong(person, "ask", "-m", tiny, code=2, says="prompt is missing")
    wrong(person, "ask", "  ", "-m", tiny, code=2, says="prompt is missing")
    wrong(person, "ask", "-m", tiny, stdin=b"", code=2, says="prompt is missing")
    wrong(
        person,
        "ask",
        "-m",
        tiny,
        stdin="é".encode("latin-1"),
        code=2,
        says="byte 0xe9 at position 0",
    )
    wrong(person, "ask", "oi " * 300, "-m", tiny, code=4, says="256")
    # … before any weights are read, and before a question is shown that nobody will answer
    bare = person.home / "bare"
    shutil.copytree(tiny, bare)
    (bare / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}              ")
    wrong(person, "ask", "oi " * 300, "-m", str(bare), code=4, says="256", terminal=True)


def test_damaged_checkpoints(person: Person, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    save_tiny(folder)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    wrong(person, "ask", "olá", "-m", str(folder), code=1, says="model.safetensors")
    weights.write_bytes(whole)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))
    wrong(person, "ask", "olá", "-m", str(folder), code=1, says="shape")
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    wrong(person, "ask", "olá", "-m", str(folder), code=1, says="layers.2")
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "brand_new"}))
    wrong(person, "ask", "olá", "-m", str(folder), code=1, says="brand_new")
    weights.rename(folder / "pytorch_model.bin")
    wrong(person, "ask", "olá", "-m", str(folder), code=1, says="pickled")


def test_a_command_line_that_is_no_command(person: Person) -> None:
    wrong(person, "aks", "olá", code=2, says="no command 'aks'")
    wrong(person, "ask", "olá", "--lang", "xx", code=2, says="xx")
    wrong(person, "models", "show", code=2, says="NAME is missing")


def test_what_is_too_much_is_named(person: Person) -> None:
    wrong(person, "models", "list", "tudo", code=2, says="too much on the command line: tudo.")
    wrong(person, "chat", "oi", code=2, says="oi")


def test_no_arguments_show_the_help_and_no_error(person: Person) -> None:
    for arguments in ((), ("models",)):
        assert "Error" not in person(*arguments).err


def test_a_file_that_is_no_model_is_told_so(person: Person, tiny: str, tmp_path: Path) -> None:
    wrong(person, "ask", "olá", "-m", f"{tiny}/model.safetensors", code=2, says="safetensors")
    (tmp_path / "notes.txt").write_text("x")
    wrong(person, "ask", "olá", "-m", str(tmp_path / "notes.txt"), code=2, says="not a .gguf")


def test_a_name_like_no_other_gets_all_names(person: Person) -> None:
    wrong(person, "ask", "olá", "-m", "zzzz", code=3, says="There are: aira-2-portuguese-124m")


def test_a_broken_config_file_hides_neither_list_nor_doctor(person: Person) -> None:
    (person.home / "config").mkdir()
    (person.home / "config" / "config.yaml").write_text("modell: x\n")
    listed, doctor = person("models", "list"), person("doctor")
    assert listed.code == 0 and "ttl-460m-awq *" in listed.out
    assert "this file may have: model, lang" in listed.err
    assert doctor.code == 0 and "`modell`" in doctor.out


def test_a_cache_that_cannot_be_made_is_told(person: Person, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    wrong(person, "models", "pull", "smollm2-135m", code=1, says="Cannot write to")


def test_control_characters_of_a_prompt_stay_escaped_in_json(person: Person, tiny: str) -> None:
    evil = "a\x9b31m\u202eb"
    answers = person("ask", evil, "-m", tiny, *ASK, "--json").out
    listing = person("ask", evil, "-m", tiny, "--dry-run").out
    segments = person("ask", evil, "-m", tiny, "--dry-run", "--json").out
    for out in (answers, listing, segments):
        assert "\x9b" not in out and "\u202e" not in out and "\\u202e" in out
    assert json.loads(answers.splitlines()[0])["prompt"] == evil


def test_debug_shows_the_traceback(person: Person, tiny: str) -> None:
    assert "Traceback" in person("ask", "olá", "-m", tiny, "-n", "0", "--debug").err


def test_lang_wins_over_the_variable_wherever_it_stands(person: Person) -> None:
    assert person("--lang", "pt", "ask", "-m", "x").err.startswith("Erro")
    assert person("ask", "-m", "x", "--lang=pt").err.startswith("Erro")
    assert person("ask", "-m", "x").err.startswith("Error")


def test_the_config_file_sets_the_language(person: Person) -> None:
    (person.home / "config").mkdir()
    (person.home / "config" / "config.yaml").write_text("lang: pt\n")
    person.lang = ""
    assert person("ask", "-m", "x", LANG="en_US.UTF-8").err.startswith("Erro:")


# models


def test_models_list_show_path_rm(person: Person, tiny: str) -> None:
    listed = person("models", "list")
    names = [line.split("\t")[0] for line in listed.out.splitlines()]
    assert "ttl-460m-awq *" in names and "aira-2-portuguese-1b7" in names
    shown = person("models", "show", "ttl-460m-awq").out
    assert "468 243 456" in shown and "prompt_format: ttl" in shown
    assert "our own (llama)" in shown and "our own (llama)" in person("models", "show", tiny).out
    person.write_profile("mine", f"source: {{path: {tiny}}}\n")
    assert person("models", "path", "mine").out == f"{tiny}\n"
    ran = person("models", "rm", "mine")  # a person's own folder is never deleted
    assert ran.code == 2 and Path(tiny, "model.safetensors").exists()
    missing = person("models", "path", "smollm2-135m")
    assert missing.code == 3 and "aira models pull" in missing.err


def test_the_profile_shown_is_one_that_can_be_used(person: Person) -> None:
    text = person("models", "show", "ttl-460m").out.partition("\n\n")[2]
    person.write_profile("copy", text)
    again = person("models", "show", "copy").out.partition("\n\n")[2]
    assert again == text
