"""`aira chat`, its commands: each under all its names, texts in and out, an answer gone on with."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from tests.chats import CONTROL_L, MARKS, Opened, database, leave, prompts, rows, say
from tests.conftest import Program
from tests.run_inside import Person
from tests.terminal import Terminal

#: A conversation: each command's names, and what stands behind them.
SCRIPT = (
    ("/sessoes /sessões /sessions", ""),
    ("/semente /seed", "40"),
    ("/n", "2"),
    ("/set", "top_k=9"),
    ("/sistema /system", "Fale pouco."),
    ("/layout", ""),
    ("", "Quem é você?"),
    ("/mais /more", "1"),
    ("/continuar /continue", "2"),
    ("/escolher /pick", "2"),
    ("/copiar /copy", "2"),
    ("/diff", "1 2"),
    ("/refazer /regen", "samples=1 temperature=1.2"),
    ("", "E quem sou eu?"),
    ("/ramo /fork", "1.1"),
    ("/editar /edit", ""),
    ("/desfazer /undo", "1"),
    ("/comparar /compare", "outro"),
    ("/memoria /memória /memory", "1"),
    ("/contexto /context", ""),
    ("/prompt", "E agora?"),
    ("/salvar /save", "viagem"),
    ("/exportar /export", "{home}/viagem.md"),
    ("/nova /new", ""),
    ("/carregar /load", "viagem"),
    ("/arvore /árvore /tree", ""),
    ("/arquivo /file", "/nao/existe"),
    ("/colar /paste", ""),
    ("/modelos /models", ""),
    ("/modelo /model", "outro"),
    ("/stats", "off"),
    ("/reset", ""),
    ("/ajuda /help", ""),
    ("/idioma /lang", "en"),
)
RECORD = (
    "SELECT parent_turn, parent_row, question, system, profile, settings, row, seed, text, tokens,"
    " finish_reason, picked FROM turns JOIN answers ON turn = id ORDER BY turn, row"
)
LEAVING = ("/sair", "/exit", "/quit")


def steady(shown: str, home: str) -> str:
    """Without what no two runs share: times, speeds, memory, the home folder."""
    shown = re.sub(r"\s+", " ", shown.replace(home, "~"))
    shown = re.sub(r"\d+([.,]\d+)? (tokens/s|s|[kMG]?B)\b", "#", shown)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "#", shown)


def conversation(chat: Opened, home: Path, which: int) -> tuple[list[str], str]:
    """What each command of SCRIPT says under its `which`th name, or its last; the help."""
    editor = home / "editor.sh"
    editor.write_text('#!/bin/sh\necho "Outra pergunta" > "$1"\n')
    editor.chmod(0o755)
    terminal = chat("-n", "1", columns=120, rows=60, EDITOR=str(editor), PATH="/usr/bin:/bin")
    said, help_text = [], ""
    for names, behind in SCRIPT:
        name = names.split()[min(which, len(names.split()) - 1)] if names else ""
        terminal.send(CONTROL_L)
        terminal.until(lambda s: s in MARKS)
        line = f"{name} {behind.format(home=home)}".strip()
        shown = say(terminal, line)
        if "/edit" in names:  # the question that it prints looks like a prompt
            shown = terminal.until(lambda s: s.splitlines()[-1].strip() in MARKS)
        said.append(f"{names} {steady(shown.partition(line)[2], str(home))}")
        help_text = shown if "/help" in names else help_text
    terminal.send(LEAVING[which] + "\r")
    assert terminal.wait() == 0
    return said, help_text


def test_every_command_does_the_same_under_all_its_names(
    chat: Opened, program: Program, tiny: Path
) -> None:
    home = Path(program.variables["HOME"])
    profiles = home / ".config" / "aira" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "outro.yaml").write_text(f"source: {{path: {tiny}}}\nsampling: {{samples: 1}}\n")
    runs, kept = [], []
    for which in range(3):
        said, help_text = conversation(chat, home, which)
        runs.append(said)
        kept.append(rows(program, RECORD))
        database(program).unlink()
        (home / "viagem.md").unlink()
    assert runs[0] == runs[1] == runs[2]
    assert kept[0] == kept[1] == kept[2] and len(kept[0]) > 5
    known = set(re.findall(r"(?<!\S)/\w+(?=[, ])", help_text.split("Enter")[0]))
    assert known == {*LEAVING, *(name for names, _ in SCRIPT for name in names.split())}


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("/ajud", "/ajuda"),
        ("/exi", "/exit"),
        ("/Continuarr", "/continuar"),
        ("/sessao x", "/sessoes"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(chat: Opened, typed: str, near: str) -> None:
    terminal = chat("-n", "1", "--no-history")
    shown = " ".join(say(terminal, typed).split())
    assert f"O comando {typed.split()[0]} não existe. Você quis dizer {near}?" in shown
    assert "Resposta" not in shown
    leave(terminal)


def test_two_slashes_send_a_text_with_one(chat: Opened, program: Program) -> None:
    terminal = chat("-n", "1")
    assert "Resposta 1" in say(terminal, "//nova //duas")
    leave(terminal)
    assert rows(program, "SELECT question FROM turns") == [("/nova //duas",)]


def tool(folder: Path, name: str, does: str) -> None:
    """A clipboard tool that notes how it was called in `calls`."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{folder}/calls"\n{does}\n')
    path.chmod(0o755)


TOOLS = {
    "wayland": ("wl-copy", "wl-paste", "--no-newline", {"WAYLAND_DISPLAY": "wayland-0"}),
    "x11": ("xclip", "xclip", "-selection clipboard -o", {"DISPLAY": ":0"}),
    "mac": ("pbcopy", "pbpaste", "", {}),
}


@pytest.mark.parametrize("system", TOOLS)
def test_the_clipboard(chat: Opened, program: Program, tmp_path: Path, system: str) -> None:
    copies, pastes, flags, variables = TOOLS[system]
    folder, board = tmp_path / "tools", tmp_path / "board"
    tool(folder, copies, f'case "$*" in *-o*) cat "{board}";; *) cat > "{board}";; esac')
    if pastes != copies:
        tool(folder, pastes, f'cat "{board}"')
    cleared = {"WAYLAND_DISPLAY": "", "DISPLAY": "", "PATH": f"{folder}:/usr/bin:/bin"}
    terminal = chat("-n", "2", **{**cleared, **variables})
    say(terminal, "olá")
    assert "Resposta 2 copiada" in say(terminal, "/copiar 2")
    texts = [text.strip() for (text,) in rows(program, "SELECT text FROM answers ORDER BY row")]
    assert board.read_text() == texts[1]
    board.write_bytes("primeira linha\r\nsegunda çã\x1b[31m\n\n".encode())
    assert "Enter envia" in say(terminal, "/colar")
    assert "Pergunta: 👤 primeira linha" in terminal.until("segunda çã")
    before = prompts(terminal.screen())
    terminal.send("\r")
    terminal.until(lambda s: prompts(s) > before)
    leave(terminal)
    asked = rows(program, "SELECT question FROM turns ORDER BY id")[1][0]
    assert asked.startswith("primeira linha\nsegunda çã") and "\x1b" not in asked
    calls = (folder / "calls").read_text().splitlines()
    assert calls[-1].strip() == f"{pastes} {flags}".strip()


def test_without_a_clipboard(chat: Opened, tmp_path: Path) -> None:
    tool(tmp_path / "tools", "pbpaste", "exit 1")
    none = {"WAYLAND_DISPLAY": "", "DISPLAY": "", "PATH": f"{tmp_path}/tools:/usr/bin:/bin"}
    terminal = chat("-n", "1", **none)
    assert "Nenhuma ferramenta de área de transferência respondeu" in say(terminal, "/paste")
    say(terminal, "olá")
    assert "Resposta 1" in say(terminal, "/copy") and b"\x1b]52;c;" in terminal.raw
    leave(terminal)
    dumb = chat("-n", "1", TERM="dumb", **none)
    say(dumb, "olá")
    assert "Nenhuma ferramenta de área de transferência respondeu" in say(dumb, "/copy")
    leave(dumb)


def exported(terminal: Terminal, path: Path) -> str:
    assert "Exportada para" in say(terminal, f"/exportar {path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text("utf-8")


def test_exports(chat: Opened, program: Program, tmp_path: Path) -> None:
    terminal = chat("-n", "2")
    assert "Exportada" not in say(terminal, f"/exportar {tmp_path}/cedo.md")
    say(terminal, "Qual a capital?")
    say(terminal, "/escolher 2")
    say(terminal, "E a de Goiás?")
    found = rows(program, "SELECT turn, row, text FROM answers ORDER BY turn, row")
    texts = [text.strip() for _, _, text in found]
    value = json.loads(exported(terminal, tmp_path / "c.json"))
    assert [turn["question"] for turn in value["turns"]] == ["Qual a capital?", "E a de Goiás?"]
    assert value["turns"][1]["after"] == {"turn": 1, "row": 1}
    answers = [answer for turn in value["turns"] for answer in turn["answers"]]
    assert [answer["text"].strip() for answer in answers] == texts
    assert [answer["seed"] for answer in answers] == [1, 2, 3, 4]
    markdown = exported(terminal, tmp_path / "C.MD")
    assert markdown.startswith("# Qual a capital?\n") and "\n> E a de Goiás?\n" in markdown
    assert markdown.count("\n## Pergunta ") == 2 and markdown.count("\n### Resposta ") == 4
    plain = exported(terminal, tmp_path / "c.txt")
    assert plain.startswith("Qual a capital?\n") and "\nE a de Goiás?\n" in plain
    assert all(text in markdown and text in plain for text in texts)
    for name, complaint in (
        ("c.txt", "c.txt já existe"), ("c.pdf", ".md, .json ou .txt"),
        ("sem", ".md, .json ou .txt"), ("nao/existe.md", "Não é possível gravar"),
    ):  # fmt: skip
        shown = " ".join(say(terminal, f"/exportar {tmp_path}/{name}").split())
        assert complaint in shown
    assert (tmp_path / "c.txt").read_text("utf-8") == plain
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} == {"c.json", "C.MD", "c.txt"}
    leave(terminal)


def test_an_answer_gone_on_with_is_what_its_seed_draws(
    chat: Opened, program: Program, tiny: Path, tmp_path: Path
) -> None:
    terminal = chat("-n", "2", "--dtype", "float32")  # bfloat16 rounds by batch size
    say(terminal, "olá")
    shown = " ".join(say(terminal, "/continuar 2").split())
    assert "[cortada em 24 tokens] semente 2" in shown
    assert "semente 2" in say(terminal, "/continuar 2")
    say(terminal, "e agora?")
    leave(terminal)
    kept = rows(program, "SELECT seed, text FROM answers ORDER BY turn, row")
    assert [seed for seed, _ in kept] == ["1", "2", "3", "4"]
    ran = Person(tmp_path / "other")(
        "ask", "olá", "-m", str(tiny), "-n", "1", "--max-new-tokens", "36", "--seed", "2",
        "--json", "--no-history", "--dtype", "float32", AIRA_KERNELS="torch",
    )  # fmt: skip
    assert json.loads(ran.out)["text"] == kept[1][1]
