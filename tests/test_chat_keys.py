"""`aira chat`, its keys: Tab, the line history, Ctrl-C, Ctrl-G, Ctrl-L, Ctrl-R."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from tests.chats import (
    CONTROL_C,
    CONTROL_D,
    CONTROL_G,
    CONTROL_L,
    CONTROL_R,
    UP,
    Opened,
    database,
    leave,
    prompts,
    rows,
    say,
)
from tests.conftest import Program
from tests.terminal import Terminal

END = "\x1b[F"


def last_line(screen: str) -> str:
    return screen.rstrip().splitlines()[-1]


def typed(terminal: Terminal, keys: str, line: str) -> None:
    """`keys` make the prompt show `line`; Ctrl-C clears it."""
    terminal.send(keys)
    terminal.until(lambda s: last_line(s).endswith(line), 10)
    clear(terminal)


def clear(terminal: Terminal) -> None:
    before = prompts(terminal.screen())
    terminal.send(CONTROL_C)
    terminal.until(lambda s: prompts(s) > before, 10)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a file, a hidden one and a folder with a file in it."""
    folder = tmp_path / "textos"
    (folder / "outra pasta").mkdir(parents=True)
    (folder / "outra pasta" / "dentro.txt").write_text("x")
    (folder / "arquivo.txt").write_text("x")
    (folder / ".oculto").write_text("x")
    return folder


def test_tab_completes_what_a_command_works_on(chat: Opened, files: Path) -> None:
    terminal = chat("-n", "1", "--session", "minha viagem", columns=160)
    say(terminal, "olá")
    typed(terminal, "/aj\t", "/ajuda")
    typed(terminal, "/model smol\t", "/model smollm2-135m")
    typed(terminal, "/compare smollm2-135m smol\t", "/compare smollm2-135m smollm2-135m")
    typed(terminal, "/file ~/tex\t", "/file ~/textos/")
    typed(terminal, f"/arquivo {files}/arq\t", "arquivo.txt")
    typed(terminal, f"/arquivo {files}/.oc\t", ".oculto")
    terminal.send(f"/exportar {files}/outra p\t")
    terminal.until("/textos/outra pasta/", 10)
    typed(terminal, "den\t", "outra pasta/dentro.txt")
    typed(terminal, "/load min\t", "/load minha viagem")
    typed(terminal, "/set max\t", "/set max_new_tokens=")
    typed(terminal, "/set top_k=3 temp\t", "/set top_k=3 temperature=")
    typed(terminal, "/regen see\t", "/regen seed=")
    typed(terminal, "/lang e\t", "/lang en")
    typed(terminal, "/layout col\t", "/layout colunas")
    typed(terminal, "/stats of\t", "/stats off")
    say(terminal, "/lang en")
    typed(terminal, "/layout col\t", "/layout columns")
    typed(terminal, "/sem nada\t", "/sem nada")
    typed(terminal, "olá smol\t", "olá smol")
    leave(terminal)


def test_tab_shows_a_menu_where_there_are_several(chat: Opened, files: Path) -> None:
    terminal = chat("-n", "1", answering=True, columns=60, rows=24)
    terminal.until("respostas: 1")
    terminal.send("/se\t")
    terminal.until(lambda s: all(f" {name}\n" in s for name in ("/semente", "/seed", "/set")))
    terminal.send("\t\t")
    terminal.until("👤 /semente")
    terminal.send("\r")  # takes what is chosen; the line is not sent yet
    terminal.until(lambda s: "/seed" not in s)
    assert "👤 /semente" in terminal.screen() and "Semente da" not in terminal.screen()
    terminal.send("\r")
    terminal.until("Semente da próxima pergunta: 1.")
    terminal.send(f"/file {files}/\t")
    terminal.until(lambda s: "arquivo.txt" in s and "outra pasta/" in s)
    assert ".oculto" not in terminal.screen()
    terminal.send(CONTROL_C)
    terminal.read()
    leave(terminal)


def test_ctrl_r_and_the_arrows_find_old_lines(chat: Opened, program: Program) -> None:
    first = chat("-n", "1")
    for line in ("a primeira pergunta", "/n 1", "a segunda pergunta"):
        say(first, line)
    leave(first)
    lines = database(program).with_name("lines")
    assert stat.S_IMODE(lines.stat().st_mode) == 0o600
    assert stat.S_IMODE(lines.parent.stat().st_mode) == 0o700
    terminal = chat("-n", "1")
    typed(terminal, UP, "👤 a segunda pergunta")
    typed(terminal, UP * 3 + UP, "👤 a primeira pergunta")
    terminal.send(CONTROL_R + "prim")
    terminal.until("a primeira pergunta")
    terminal.send("\r")  # ends the search
    terminal.until("👤 a primeira pergunta")
    terminal.send(END + " de novo")
    terminal.until("👤 a primeira pergunta de novo")
    before = prompts(terminal.screen())
    terminal.send("\r")
    terminal.until(lambda s: prompts(s) > before)
    leave(terminal)
    asked = [question for (question,) in rows(program, "SELECT question FROM turns ORDER BY id")]
    assert asked == [
        "a primeira pergunta", "a segunda pergunta", "a primeira pergunta de novo",
    ]  # fmt: skip


@pytest.mark.parametrize("how", [("--no-history", ""), ("-q", "off")])
def test_lines_are_not_kept_where_nobody_wants_it(
    chat: Opened, program: Program, how: tuple[str, str]
) -> None:
    lines = database(program).with_name("lines")
    lines.parent.mkdir(parents=True)
    lines.write_text("\n# 2024-01-01 00:00:00\n+de outro dia\n")
    kept = lines.read_bytes()
    terminal = chat("-n", "1", how[0], AIRA_HISTORY=how[1])
    say(terminal, "um segredo")
    terminal.send("outro segredo")
    terminal.until("outro segredo")
    clear(terminal)
    typed(terminal, UP * 2, "um segredo")  # as long as the chat lasts
    terminal.send(UP * 9)
    terminal.read()
    assert "de outro dia" not in terminal.screen()
    clear(terminal)
    leave(terminal)
    assert lines.read_bytes() == kept and not database(program).exists()


def test_ctrl_c_at_the_prompt(chat: Opened, program: Program) -> None:
    terminal = chat("-n", "1", "--lang", "en")
    terminal.send("half a que")
    terminal.until("half a que")
    clear(terminal)
    assert "once more" not in terminal.screen()
    typed(terminal, UP, "👤 half a que")  # kept in the line history
    clear(terminal)
    assert terminal.screen().count("Ctrl-C once more or Ctrl-D to leave.") == 1
    time.sleep(2.1)
    clear(terminal)  # too late to be the second
    assert terminal.screen().count("Ctrl-C once more or Ctrl-D to leave.") == 2
    terminal.send(CONTROL_C)
    assert terminal.wait() == 130
    assert "half a que" in database(program).with_name("lines").read_text()
    assert "Traceback" not in terminal.screen()


def test_ctrl_d_leaves_an_empty_line_only(chat: Opened) -> None:
    terminal = chat("-n", "1")
    terminal.send("abc" + CONTROL_D)
    terminal.read()
    assert terminal.child.isalive()
    typed(terminal, "def", "👤 abcdef")
    leave(terminal)


def test_ctrl_g_edits_the_line(chat: Opened, program: Program, tmp_path: Path) -> None:
    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\nprintf "antes: %s\\nsegunda linha\\n" "$(cat "$1")" > "$1"\n')
    script.chmod(0o755)
    terminal = chat("-n", "1", EDITOR=str(script))
    terminal.send("minha linha")
    terminal.until("minha linha")
    terminal.send(CONTROL_G)
    terminal.until("segunda linha")
    assert rows_of(program) == []  # not sent yet
    before = prompts(terminal.screen())
    terminal.send("\r")
    terminal.until(lambda s: prompts(s) > before)
    leave(terminal)
    assert rows_of(program) == [("antes: minha linha\nsegunda linha",)]


def rows_of(program: Program) -> list[tuple[str]]:
    path = database(program)
    return rows(program, "SELECT question FROM turns") if path.exists() else []


def test_ctrl_l_clears_the_screen_and_keeps_the_line(chat: Opened) -> None:
    terminal = chat("-n", "1")
    say(terminal, "olá")
    terminal.send("metade")
    terminal.until("metade")
    terminal.send(CONTROL_L)
    terminal.until(lambda s: s == "Pergunta: 👤 metade")
    clear(terminal)
    leave(terminal)
