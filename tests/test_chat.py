"""`aira chat` as a person at a terminal has it: commands, keys, the record, what is left out."""

from __future__ import annotations

import base64
import json
import re
import stat
from pathlib import Path

import pytest

from tests.chats import (
    CONTROL_C,
    CONTROL_G,
    CONTROL_L,
    CONTROL_R,
    MARKS,
    UP,
    Opened,
    database,
    leave,
    prompts,
    rows,
    say,
)
from tests.conftest import Program
from tests.run_inside import Person
from tests.terminal import Terminal
from tests.tiny_checkpoints import save_tiny


@pytest.fixture
def program(program: Program) -> Program:
    """Without our kernels: what computes is not the subject, and they may have to be compiled.

    And with one thread: torch's wait for one another, for long where something else is running.
    """
    alone = {"AIRA_KERNELS": "torch", "OMP_NUM_THREADS": "1"}
    return Program(program.command, {**program.variables, **alone})


def test_answers_are_worked_with(chat: Opened, program: Program) -> None:
    terminal = chat("-n", "2")
    first = say(terminal, "Qual a capital?")
    assert "[cortada em 12 tokens] semente 1" in first and "semente 2" in first
    more = say(terminal, "/mais 2")
    assert "Resposta 3: 🤖" in more and "Resposta 4: 🤖" in more and "semente 4" in more
    assert "não há resposta 7" in say(terminal, "/escolher 7").lower()
    assert "segue da resposta 3" in say(terminal, "/pick 3")
    longer = say(terminal, "/continuar 3")
    assert "Resposta 3" in longer and "[cortada em 24 tokens] semente 3" in longer
    assert "▶* 1.3" in say(terminal, "/arvore")
    say(terminal, "E a de Goiás?")
    assert "1." in say(terminal, "/ramo 1.2") and "resposta 1.2" in terminal.screen()
    say(terminal, "E a do Acre?")
    assert "Perguntas desfeitas: 1" in say(terminal, "/desfazer")
    assert "{+" in say(terminal, "/diff 1 2")
    leave(terminal)
    turns = rows(program, "SELECT id, question, parent_turn, parent_row FROM turns ORDER BY id")
    assert [turn[1:] for turn in turns] == [
        ("Qual a capital?", None, None), ("E a de Goiás?", 1, 2), ("E a do Acre?", 1, 1),
    ]  # fmt: skip
    answers = rows(program, "SELECT row, seed, tokens, picked FROM answers WHERE turn = 1")
    assert answers == [(0, "1", 12, 0), (1, "2", 12, 0), (2, "3", 24, 1), (3, "4", 12, 0)]
    assert rows(program, "SELECT place_turn, place_row FROM conversations") == [(1, 1)]


def test_more_draws_what_the_next_seed_draws_alone(
    chat: Opened, program: Program, tiny: Path, tmp_path: Path
) -> None:
    terminal = chat("-n", "1", "--dtype", "float32")  # bfloat16 rounds by batch size
    say(terminal, "olá")
    say(terminal, "/mais 2")
    say(terminal, "/refazer temperature=1.5 seed=40")
    leave(terminal)
    kept = dict(rows(program, "SELECT seed, text FROM answers"))
    assert set(kept) == {"1", "2", "3", "40"}
    for seed, text in kept.items():
        flags = ["-t", "1.5"] if seed == "40" else []
        ran = Person(tmp_path / "other")(
            "ask", "olá", "-m", str(tiny), "-n", "1", "--max-new-tokens", "12", "--seed", seed,
            "--json", "--no-history", "--dtype", "float32", *flags,
        )  # fmt: skip
        assert json.loads(ran.out)["text"] == text


def test_settings_say_where_they_come_from(chat: Opened) -> None:
    terminal = chat("-n", "1", "--lang", "en")
    shown = say(terminal, "/set temperature=0.3 top-k=5")
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line[:2] == "  "}
    assert lines["temperature"] == ["0.3", "/set"] and lines["top_k"] == ["5", "/set"]
    assert lines["max_new_tokens"] == ["12", "command", "line"] and lines["top_p"] == [
        "1",
        "default",
    ]
    assert "top_p: 2 does not do; allowed: > 0, ≤ 1" in say(terminal, "/set top_p=2")
    assert "Did you mean temperature?" in say(terminal, "/set temprature=1")
    assert "0.7" in say(terminal, "/reset")
    assert "Answers to a question: 3." in say(terminal, "/n 3")
    assert "Seed of the next question: 77." in say(terminal, "/semente 77")
    assert "seed 79" in say(terminal, "hello")
    assert "Answers to a question: 1." in say(terminal, "/set temperature=0") + say(terminal, "/n")
    assert "A interface fala português." in say(terminal, "/idioma pt")
    assert "/nova, /new" in say(terminal, "/ajuda")
    assert "Você quis dizer /help?" in say(terminal, "/hlep")
    leave(terminal)


def test_a_text_that_begins_with_a_slash(chat: Opened, program: Program) -> None:
    terminal = chat("-n", "1")
    say(terminal, "//etc é uma pasta?")
    leave(terminal)
    assert rows(program, "SELECT question FROM turns") == [("/etc é uma pasta?",)]


def test_lines(chat: Opened, program: Program, tmp_path: Path) -> None:
    """New lines in every way, a paste, the editor, the line history and its rights."""
    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\nprintf "%s do editor" "$(cat "$1")" > "$1"\n')
    script.chmod(0o755)
    terminal = chat("-n", "1", EDITOR=str(script))
    for new_line, words in (("\x1b\r", "alt"), ("\n", "jota"), ("\\\r", "barra")):
        terminal.send(f"{words} um{new_line}")
        terminal.read()
        say(terminal, "dois")
    terminal.send("\x1b[200~colada um\ncolada dois\n\x1b[201~")
    terminal.until("colada dois")
    terminal.read()
    assert len(rows(program, "SELECT 1 FROM turns")) == 3  # inserted, not sent
    say(terminal, "fim")
    terminal.send("feito")
    terminal.read()
    terminal.send(CONTROL_G)
    terminal.until("feito do editor")
    terminal.send(CONTROL_C)
    terminal.read()
    terminal.send(UP)
    terminal.until(lambda s: s.rstrip().endswith("feito do editor"))
    terminal.send(CONTROL_C)
    terminal.read()
    terminal.send(CONTROL_R + "jota")
    terminal.read()
    terminal.send(CONTROL_C)
    terminal.read()
    terminal.send(CONTROL_L)
    terminal.until(lambda s: s.startswith("Pergunta: 👤") and prompts(s) == 1)
    leave(terminal)
    questions = [question for (question,) in rows(program, "SELECT question FROM turns")]
    assert questions == [
        "alt um\ndois", "jota um\ndois", "barra um\ndois", "colada um\ncolada dois\nfim",
    ]  # fmt: skip
    lines = database(program).with_name("lines")
    assert stat.S_IMODE(lines.stat().st_mode) == 0o600
    assert stat.S_IMODE(database(program).stat().st_mode) == 0o600
    again = chat("-n", "1")
    again.send(UP)
    again.until("feito do editor")
    again.send(CONTROL_C)
    again.read()
    leave(again)


def test_tab_and_the_toolbar(chat: Opened, tmp_path: Path) -> None:
    (tmp_path / "dados com nome.txt").write_text("conteúdo do arquivo\n")
    terminal = chat("-n", "2", answering=True, columns=100, rows=30)
    terminal.until("tiny · respostas: 2 · contexto: ")
    terminal.send("/sema")
    terminal.read()
    terminal.send(chr(127) + "\t")  # /sem
    terminal.until("/semente")
    terminal.send(CONTROL_C)
    terminal.read()
    terminal.send("/set temp\t")
    terminal.until("/set temperature=")
    terminal.send(CONTROL_C)
    terminal.read()
    terminal.send("/modelo smol\t")
    terminal.until("/modelo smollm2-135m")
    terminal.send(CONTROL_C)
    terminal.read()
    terminal.send(f"/arquivo {tmp_path}/dad\t")
    terminal.until("dados com nome.txt")
    terminal.send("\r")
    terminal.until("Pergunta: 👤 conteúdo do arquivo")
    terminal.send("\r")
    terminal.until("tokens/s")
    terminal.resize(40, 30)
    terminal.read(0.5)
    assert "tokens/s" not in terminal.screen().splitlines()[-1]
    leave(terminal)


def test_texts_in_and_out(chat: Opened, tmp_path: Path) -> None:
    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\necho "outra pergunta" > "$1"\n')
    script.chmod(0o755)
    terminal = chat("-n", "1", VISUAL=str(script))
    say(terminal, "pergunta velha")
    terminal.raw = b""
    assert "Resposta 1 entregue ao terminal" in say(terminal, "/copiar")
    code = terminal.raw.split(b"\x1b]52;c;")[1].split(b"\x07")[0]
    target = tmp_path / "conversa.json"
    assert "Exportada" in say(terminal, f"/exportar {target}")
    exported = json.loads(target.read_text())
    assert exported["turns"][0]["answers"][0]["text"].strip() == base64.b64decode(code).decode()
    assert "já existe" in say(terminal, f"/exportar {target}")
    assert "outra pergunta" in say(terminal, "/editar")
    # the question that /editar prints looks like a prompt
    terminal.until(lambda s: s.splitlines()[-1].strip() in MARKS)
    prompt = say(terminal, "/prompt e agora")
    assert '"outra pergunta"' in prompt and '"e agora"' in prompt and "velha" not in prompt
    assert "2. outra pergunta" in say(terminal, "/tree")
    assert "não pode ser lido" in say(terminal, "/arquivo /nao/existe")
    leave(terminal)


def test_sessions(chat: Opened, program: Program) -> None:
    terminal = chat("-n", "1", "--session", "viagem")
    say(terminal, "primeira pergunta")
    leave(terminal)
    again = chat("-n", "1", "--session", "viagem")
    assert "primeira pergunta" in again.screen()
    assert "primeira pergunta" in say(again, "/prompt segue")
    say(again, "/nova")
    assert "primeira" not in say(again, "/prompt vazia")
    say(again, "outra conversa")
    assert "se chama trabalho" in say(again, "/salvar trabalho")
    listed = say(again, "/sessoes")
    assert "viagem · primeira pergunta" in listed and "trabalho · outra conversa" in listed
    assert "trabalho" not in say(again, "/sessoes primeira")
    assert "primeira pergunta" in say(again, "/carregar viagem")
    assert "não existe" in say(again, "/carregar nada") or "Não há" in again.screen()
    say(again, "segunda pergunta")
    leave(again)
    counted = "SELECT name, count(*) FROM conversations JOIN turns ON conversation = number"
    assert rows(program, f"{counted} GROUP BY name") == [("trabalho", 1), ("viagem", 2)]
    newest = chat("-n", "1", "--continue")
    assert "segunda pergunta" in newest.screen()
    leave(newest)


@pytest.mark.parametrize("how", [("--no-history", ""), ("-q", "off")])
def test_nothing_is_recorded_where_nobody_wants_it(
    chat: Opened, program: Program, how: tuple[str, str]
) -> None:
    flag, variable = how
    terminal = chat("-n", "1", flag, AIRA_HISTORY=variable)
    say(terminal, "segredo")
    assert "segredo" in say(terminal, "/arvore")
    assert "O histórico está desligado" in say(terminal, "/salvar nome")
    leave(terminal)
    assert not database(program).exists() and not database(program).with_name("lines").exists()


def test_old_turns_are_left_out_whole_and_not_in_silence(chat: Opened) -> None:
    terminal = chat("-n", "1", "--no-history")
    for number in range(4):
        shown = say(terminal, f"Pergunta número {number} " + "bem longa " * 4)
    assert "ficam de fora as perguntas mais antigas" in shown
    meter = say(terminal, "/contexto")
    assert "de 256 tokens" in meter and "Não couberam" in meter
    sent = say(terminal, "/prompt e agora")
    assert "número 3" in sent and "número 0" not in sent
    assert sent.count('"user\\n"') == sent.count('"assistant\\n"')
    too_long = say(terminal, "longa " * 150)
    assert "tokens" in too_long and "256" in too_long
    assert "perguntas anteriores enviadas: 0" in say(terminal, "/memoria off") + say(
        terminal, "/contexto"
    )
    leave(terminal)


def test_single_turn_models_and_folded_system_texts(
    program: Program, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ttl") / "ttl"
    save_tiny(folder, kind="sentencepiece", chat_template=None)
    profiles = Path(program.variables["HOME"]) / ".config" / "aira" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "so.yaml").write_text(
        f"source: {{path: {folder}}}\nprompt_format: ttl\nsingle_turn: true\n"
        "sampling: {samples: 1, max_new_tokens: 5}\n"
    )
    terminal = Terminal(program, ["chat", "-m", "so", "-q", "--seed", "1"], 100, 100)
    terminal.until("treinado com perguntas isoladas")
    terminal.until(lambda s: prompts(s) == 1)
    say(terminal, "primeira")
    assert "primeira" not in say(terminal, "/prompt segunda")
    assert "todas as perguntas anteriores" in say(terminal, "/memoria on")
    assert '"primeira"' in say(terminal, "/prompt segunda")
    assert "não tem papel de sistema" in say(terminal, "/sistema Fale pouco")
    assert '"Fale pouco\\n\\nprimeira"' in say(terminal, "/prompt segunda")
    assert "Sem texto" in say(terminal, "/system off")
    assert terminal.screen().count("perguntas isoladas") == 1
    leave(terminal)


def test_other_models(chat: Opened, program: Program, tiny: Path) -> None:
    profiles = Path(program.variables["HOME"]) / ".config" / "aira" / "profiles"
    profiles.mkdir(parents=True)
    for name in ("um", "dois"):
        (profiles / f"{name}.yaml").write_text(
            f"source: {{path: {tiny}}}\nsampling: {{samples: 1, top_k: 7}}\n"
        )
    terminal = chat("-n", "1")
    say(terminal, "olá")
    compared = say(terminal, "/comparar um dois")
    assert compared.count("Memória a mais") == 2 and "── dois" in compared
    assert compared.count("tokens/s") == 2
    assert "▶* 1.1" in say(terminal, "/arvore")
    assert "Responde dois." in say(terminal, "/modelo dois")
    assert "7        perfil" in say(terminal, "/set")
    assert "olá" in say(terminal, "/prompt segue")  # the conversation was kept
    assert "▶ dois" in say(terminal, "/modelos")
    assert "dois" in say(terminal, "/modelo doi")  # the nearest
    assert "dois:" in say(terminal, "/stats on") + say(terminal, "mais uma")
    leave(terminal)
    found = rows(program, "SELECT profile FROM turns ORDER BY id")
    assert found == [("tiny",), ("um",), ("dois",), ("dois",)]


def test_side_by_side_in_a_wide_window(chat: Opened) -> None:
    wide = chat("-n", "3", columns=200)
    line = next(x for x in say(wide, "olá").splitlines() if "Resposta 1" in x)
    assert "Resposta 2" in line and "Resposta 3" in line
    assert "empilhadas" in say(wide, "/layout empilhadas")
    assert not any("Resposta 2" in x for x in say(wide, "oi").splitlines() if "Resposta 1" in x)
    leave(wide)
    narrow = chat("-n", "3", columns=60)
    assert not any("Resposta 2" in x for x in say(narrow, "olá").splitlines() if "Resposta 1" in x)
    leave(narrow)


def test_without_colours_and_without_a_screen(chat: Opened) -> None:
    plain = chat("-n", "1", NO_COLOR="1")
    say(plain, "olá")
    leave(plain)
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m|\x1b\[[0-9;]*38;", plain.raw)
    dumb = chat("-n", "2", TERM="dumb")
    dumb.raw = b""
    shown = say(dumb, "olá")
    assert "Resposta 1: *" in shown and "Resposta 2: *" in shown
    assert b"\x1b]52" not in dumb.raw and b"\x1b[?25l" not in dumb.raw
    leave(dumb)


def test_a_key_stops_one_answer(program: Program, embedded_gguf: Path) -> None:
    terminal = Terminal(
        program,
        ["chat", "-q", "-m", "smollm2-135m", "-n", "3", "--max-new-tokens", "120", "--seed", "7",
         "--lang", "en"],
        100, 60,
    )  # fmt: skip
    terminal.until("Ctrl-D leaves")
    terminal.send("Tell me a very long story about a boat.\r")
    terminal.until(lambda s: "Answer 3" in s and len(s) > 300)
    terminal.send("2")
    screen = " ".join(terminal.until(lambda s: prompts(s) == 2).split())
    assert screen.count("[interrupted] seed 8") == 1
    assert screen.count("[interrupted]") == 1 and not screen.rstrip().endswith("2")
    leave(terminal)
    found = rows(program, "SELECT finish_reason, tokens FROM answers ORDER BY row")
    assert found[1][0] == "interrupted" and found[1][1] < min(found[0][1], found[2][1])


def test_killed_in_mid_answer(program: Program, embedded_gguf: Path) -> None:
    flags = ["chat", "-q", "-m", "smollm2-135m", "-n", "1", "--lang", "en", "--seed", "7"]
    terminal = Terminal(program, [*flags, "--max-new-tokens", "8"], 100, 60)
    terminal.until("Ctrl-D leaves")
    terminal.send("Say hello.\r")
    terminal.until(lambda s: prompts(s) == 2)
    terminal.send("/set max_new_tokens=2000 temperature=3\r")  # it neither ends nor goes round
    terminal.until(lambda s: prompts(s) == 3)
    terminal.send("Tell me a very long story.\r")
    terminal.until(lambda s: len(s.rpartition("Answer 1")[2]) > 100)
    terminal.child.kill(9)
    terminal.child.wait()
    asked = rows(
        program, "SELECT question, (SELECT count(*) FROM answers WHERE turn = id) FROM turns"
    )
    assert asked == [("Say hello.", 1), ("Tell me a very long story.", 0)]
    again = Terminal(program, [*flags, "--continue", "--max-new-tokens", "8"], 100, 60)
    again.until(lambda s: "Say hello." in s and prompts(s) == 2)
    again.send("And now?\r")
    again.until(lambda s: prompts(s) == 3)
    leave(again)
    parents = rows(program, "SELECT parent_turn FROM turns")
    assert parents == [(None,), (1,), (1,)]


def test_through_a_pipe(program: Program, tiny: Path) -> None:
    flags = ("chat", "-m", str(tiny), "-q", "-n", "1", "--max-new-tokens", "4", "--session", "p")
    for _ in range(2):
        ran = program(*flags, stdin="oi\n")
        assert (ran.returncode, ran.stderr) == (0, "") and ran.stdout.strip()
    assert rows(program, "SELECT name, parent_turn FROM conversations JOIN turns"
                " ON conversation = number") == [("p", None), ("p", 1)]  # fmt: skip


def test_flags_that_contradict_each_other(program: Program, tiny: Path) -> None:
    ran = program("chat", "-m", str(tiny), "--continue", "--session", "x", stdin="oi")
    assert ran.returncode == 2 and "--session" in ran.stderr
