"""`aira chat` when things go wrong: a full disk, a damaged history, two chats, a loop, a resize."""

from __future__ import annotations

import math
import re
import resource
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from tests.chats import Opened, database, leave, opener, prompts, rows, say
from tests.conftest import Program
from tests.terminal import Terminal
from tests.tiny_checkpoints import save_tiny


def joined(screen: str) -> str:
    """The screen as running text, wherever its lines were broken."""
    return " ".join(screen.split())


def fill_the_disk(terminal: Terminal) -> None:
    """No file of the running program may grow any more."""
    resource.prlimit(terminal.child.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))


def test_a_damaged_history_costs_the_record_alone(chat: Opened, program: Program) -> None:
    database(program).parent.mkdir(parents=True)
    database(program).write_bytes(b"This is no database. " * 400)
    terminal = chat("-n", "2", columns=60)
    shown = joined(say(terminal, "olá"))
    assert shown.count("não está sendo gravada") == 1 and "está danificado" in shown
    assert str(database(program)) in shown.replace(" ", "")
    assert "Mova o arquivo para outro lugar" in shown
    assert "semente 1" in shown and "semente 2" in shown
    shown = joined(say(terminal, "e agora?"))
    assert "semente 3" in shown and "gravada" not in shown
    assert "2. e agora?" in say(terminal, "/arvore")
    leave(terminal)
    assert database(program).read_bytes() == b"This is no database. " * 400


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
@pytest.mark.parametrize("recorded", [0, 1])
def test_a_full_disk_costs_the_record_alone(
    chat: Opened, program: Program, tmp_path: Path, recorded: int
) -> None:
    terminal = chat("-n", "1")
    for _ in range(recorded):
        say(terminal, "com espaço")
    fill_the_disk(terminal)
    shown = joined(say(terminal, "olá"))
    assert shown.count("não está sendo gravada") == 1
    assert "O disco não aceita o histórico" in shown and "Libere espaço" in shown
    assert f"semente {recorded + 1}" in shown
    assert "gravada" not in say(terminal, "e agora?")
    assert "Não é possível gravar" in say(terminal, f"/exportar {tmp_path}/c.json")
    assert f"{recorded + 2}. e agora?" in say(terminal, "/arvore")
    leave(terminal)
    assert not list(tmp_path.glob("*c.json*"))
    again = chat("-n", "1")  # with room again, what was there is of use
    assert "gravada" not in say(again, "de novo")
    leave(again)
    asked = rows(program, "SELECT question, (SELECT count(*) FROM answers WHERE turn = id)"
                 " FROM turns ORDER BY id")  # fmt: skip
    assert asked == [("com espaço", 1)] * recorded + [("de novo", 1)]


def test_two_chats_at_once_record_both(chat: Opened, program: Program) -> None:
    one, other = chat("-n", "2", "--session", "um"), chat("-n", "2", "--session", "outro")
    for number in range(3):
        typed = [f"pergunta {number} {name}" for name in ("um", "outro")]
        before = [prompts(terminal.screen()) for terminal in (one, other)]
        for terminal, line in zip((one, other), typed, strict=True):
            terminal.send(line + "\r")
        for terminal, seen in zip((one, other), before, strict=True):
            shown = terminal.until(lambda s, seen=seen: prompts(s) > seen)
            assert "gravada" not in shown
    assert "chamada um" in say(other, "/salvar um")
    listed = say(other, "/sessoes")
    assert "um · pergunta 0 um" in listed and "outro · pergunta 0 outro" in listed
    leave(one)
    leave(other)
    asked = rows(
        program,
        "SELECT name, question, (SELECT count(*) FROM answers WHERE turn = id), parent_row"
        " FROM turns JOIN conversations ON conversation = number ORDER BY name, id",
    )
    assert asked == [
        (name, f"pergunta {number} {name}", 2, None if number == 0 else 0)
        for name in ("outro", "um")
        for number in range(3)
    ]


CIRCLING, WANDERING = "o", "abcdefgh"


@pytest.fixture(scope="session")
def wanderer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that half of the time says "o" and never ends, else letters at random."""
    folder = tmp_path_factory.mktemp("model") / "vagante"
    model = save_tiny(folder, max_position_embeddings=4096)
    ids = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids
    circling, wandering, start = ids(CIRCLING), [ids(letter) for letter in WANDERING], ids("Ċ")
    size = model.config.hidden_size
    with torch.no_grad():
        for layer in model.model.layers:  # what a token is, and nothing before it, tells the next
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        inputs, outputs = model.model.embed_tokens.weight.zero_(), model.lm_head.weight.zero_()
        inputs[:, 0] = 1
        inputs[circling], inputs[start] = torch.eye(size)[1:3]
        outputs[:, :3] = -9
        outputs[wandering, 0] = outputs[circling, 1] = outputs[wandering, 2] = 0
        outputs[circling, 2] = math.log(len(WANDERING)) / math.sqrt(size)
    model.save_pretrained(folder)
    return folder


def drawn(program: Program) -> list[tuple[str, str, int, int]]:
    """Text, why it ended, tokens and seed of each answer, as recorded."""
    return rows(program, "SELECT text, finish_reason, tokens, seed FROM answers ORDER BY turn, row")


LETTERS = ("-t", "1", "--top-k", "0")


def test_an_answer_in_a_loop_is_stopped_alone(program: Program, wanderer: Path) -> None:
    terminal = opener(program, wanderer)(*LETTERS, "-n", "3", "--max-new-tokens", "120")
    shown = joined(say(terminal, "olá"))
    leave(terminal)
    found = drawn(program)
    loops = [row for row, (text, *_) in enumerate(found) if set(text) == {CIRCLING}]
    assert len(loops) == 1
    for row, (text, reason, tokens, seed) in enumerate(found):
        assert (reason, tokens) == (("loop", 48) if row in loops else ("length", 120))
        assert len(text) == tokens and (row in loops or set(text) == set(WANDERING))
        ending = "em repetição: parada" if row in loops else "cortada"
        assert f"[{ending} em {tokens} tokens] semente {seed}" in shown


def test_a_resized_window_gets_whole_answers(program: Program, wanderer: Path) -> None:
    terminal = opener(program, wanderer)(
        *LETTERS, "-n", "2", "--max-new-tokens", "900", columns=160
    )
    terminal.send("olá\r")
    terminal.until(lambda s: "Resposta 2" in s and len(s) > 500)
    terminal.resize(110, 100)
    # Not the number of prompts: that of the question may have left the screen.
    terminal.until(lambda s: "Pergunta" in s.partition("semente 1")[2])
    leave(terminal)
    found = drawn(program)
    whole = terminal.everything()
    # A pyte screen cuts lines instead of breaking them anew, so only the end is compared.
    lines = whole[whole.rindex("Resposta 1") : whole.rindex("Pergunta")].splitlines()
    # The mark takes two cells and is one letter.
    lines[0] = lines[0].replace("🤖", "🤖 ")
    for row, columns in enumerate((slice(0, 54), slice(56, 110))):
        column = "".join(line[columns] for line in lines).replace(" ", "")
        assert column.startswith(f"Resposta{row + 1}:🤖{found[row][0]}[")
        assert column.endswith(f"semente{row + 1}")


def test_a_whole_screen_of_60_columns(program: Program, wanderer: Path) -> None:
    terminal = opener(program, wanderer)(
        *LETTERS, "-n", "3", "--max-new-tokens", "8", columns=60, rows=20, answering=True
    )
    terminal.send("olá\r")
    terminal.until(lambda s: prompts(s) == 2)
    lines = terminal.screen().split("\n")
    leave(terminal)
    answers = [
        f"Resposta {row}: 🤖 {text} [cortada em 8 tokens] semente {seed}"
        for row, (text, _, _, seed) in enumerate(drawn(program), 1)
    ]
    assert lines[:-1] == [
        "Conversando com vagante. /ajuda mostra os comandos; Ctrl-D",
        "sai.",
        "Pergunta: 👤 olá",
        "",
        *answers,
        "",
        "Pergunta: 👤",
        *[""] * 10,
    ]
    assert re.fullmatch(r" vagante · respostas: 3 · contexto: \d+/4096", lines[-1])


def test_a_whole_screen_of_200_columns(program: Program, wanderer: Path) -> None:
    terminal = opener(program, wanderer)(
        *LETTERS, "-n", "3", "--max-new-tokens", "8", "--lang", "en",
        columns=200, rows=20, answering=True,
    )  # fmt: skip
    terminal.send("hello\r")
    terminal.until(lambda s: prompts(s) == 2 and "tokens/s" in s)
    lines = terminal.screen().split("\n")
    leave(terminal)
    answers = [
        f"Answer {row}: 🤖 {text} [cut at 8 tokens] seed {seed}"
        for row, (text, _, _, seed) in enumerate(drawn(program), 1)
    ]
    assert lines[:-1] == [
        "Talking with vagante. /help shows the commands; Ctrl-D leaves.",
        "Question: 👤 hello",
        "",
        "".join(f"{answer:66}" for answer in answers).rstrip(),
        "",
        "Question: 👤",
        *[""] * 13,
    ]
    assert re.fullmatch(r" vagante · answers: 3 · context: \d+/4096 · \d+\.\d tokens/s", lines[-1])
