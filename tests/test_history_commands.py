"""`aira history`, and what `aira ask` keeps, on a tiny checkpoint; sqlite3 itself is the oracle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aira_cli.history.records import AnswerKey
from aira_cli.history.store import History
from tests.conftest import Program
from tests.run_inside import Person, Ran
from tests.terminal import Terminal
from tests.test_history import NOW, answers, request, started, turn
from tests.tiny_checkpoints import save_tiny

ASK = ("--max-new-tokens", "6", "--seed", "3", "--temperature", "1", "-n", "2")
EVIL = "\x1b]0;owned\x07\x1b[2J[bold red]a[/]\x9b31m\r\u202e"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_tiny(folder)
    return str(folder)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


@pytest.fixture
def path(person: Person) -> Path:
    return person.home / "data" / "history.db"


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as direct:
        return direct.execute(query).fetchall()


def ask(person: Person, tiny: str, question: str, *flags: str, **options: Any) -> Ran:
    ran = person("ask", question, "-m", tiny, *ASK, *flags, **options)
    assert ran.code == 0, ran.err
    return ran


def lines(ran: Ran) -> list[list[str]]:
    """What a table has in a pipe, below its heads."""
    assert ran.code == 0, ran.err
    return [line.split("\t") for line in ran.out.splitlines()[1:]]


# aira ask


def test_ask_keeps_all_answers(person: Person, tiny: str, path: Path) -> None:
    shown = [json.loads(line) for line in ask(person, tiny, "olá", "--json").out.splitlines()]
    kept = rows(path, "SELECT row, text, finish_reason, tokens, seed, picked FROM answers")
    fields = ("row", "text", "finish_reason", "tokens")
    assert [row[:4] for row in kept] == [tuple(s[name] for name in fields) for s in shown]
    assert [row[4:] for row in kept] == [("3", 1), ("4", 0)]
    ((question, profile, kept_settings, stats),) = rows(
        path, "SELECT question, profile, settings, stats FROM turns"
    )
    assert (question, profile) == ("olá", "tiny")
    assert json.loads(kept_settings)["temperature"] == 1
    assert json.loads(stats)["prompt_tokens"] == shown[0]["prompt_tokens"]
    assert rows(path, "SELECT language FROM conversations") == [("en",)]


def test_a_piped_chat_is_kept(person: Person, tiny: str, path: Path) -> None:
    ran = person("chat", "-m", tiny, *ASK, stdin="olá\n".encode())
    assert ran.code == 0 and rows(path, "SELECT question FROM turns") == [("olá",)]


def test_nothing_is_kept_by_whoever_wants_none(person: Person, tiny: str, path: Path) -> None:
    ask(person, tiny, "olá", "--no-history")
    ask(person, tiny, "olá", AIRA_HISTORY="off")
    ask(person, tiny, "olá", "--dry-run")
    assert not path.parent.exists()


def said(person: Person, tiny: str, *flags: str) -> list[str]:
    """The texts that a question would send."""
    ran = ask(person, tiny, "e depois?", "--dry-run", "--json", *flags)
    return [s["text"].strip() for s in json.loads(ran.out)["segments"] if s.get("text", "").strip()]


def test_continue_sends_what_was_said_and_picked(person: Person, tiny: str, path: Path) -> None:
    with History.open(path) as history:
        number = started(history, "um", "1a", "1b", minutes=5)
        started(history, "outra", "x")  # older
    assert said(person, tiny) == ["user", "e depois?", "assistant"]
    first = ["user", "um", "assistant", "1a"]
    assert said(person, tiny, "--continue") == [*first, "user", "e depois?", "assistant"]

    with History.open(path) as history:
        place = AnswerKey(history.conversation(number).turns[0].id, 1)
        turn(history, "dois", "2a", "2b", conversation=number, parent=place, minutes=6)
    first = ["user", "um", "assistant", "1b", "user", "dois", "assistant", "2a"]
    assert said(person, tiny, "-c") == [*first, "user", "e depois?", "assistant"]


def test_continue_is_kept_where_it_belongs(person: Person, tiny: str, path: Path) -> None:
    ask(person, tiny, "um")
    ask(person, tiny, "dois", "--continue")
    ask(person, tiny, "três", "-c", "--no-history")
    ask(person, tiny, "quatro", "--continue", AIRA_HISTORY="off")
    ask(person, tiny, "cinco", "-c")
    assert rows(path, "SELECT conversation, parent_turn, parent_row, question FROM turns") == [
        (1, None, None, "um"), (1, 1, 0, "dois"), (1, 2, 0, "cinco")
    ]  # fmt: skip


def test_continue_with_another_model_says_so(person: Person, tiny: str) -> None:
    person.write_profile("mine", f"source: {{path: {tiny}}}\n")
    ask(person, tiny, "um")
    ran = person("ask", "dois", "-c", *ASK, AIRA_MODEL="mine")
    assert (ran.code, ran.err) == (
        0, "The conversation was with tiny; mine answers now. Use --model to choose.\n"
    )  # fmt: skip
    assert person("ask", "três", "-c", *ASK, AIRA_MODEL="mine").err == ""


def test_continue_needs_something_to_continue(person: Person, tiny: str) -> None:
    ran = person("ask", "olá", "-c", "-m", tiny)
    assert (ran.code, ran.out) == (1, "") and "no conversations" in ran.err
    assert not (person.home / "data").exists()
    ran = person("ask", "olá", "-c", "--raw", "-m", tiny)
    assert ran.code == 2 and "--raw and --continue" in ran.err


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_an_answer_goes_out_even_if_it_cannot_be_kept(
    person: Person, tiny: str, path: Path, lang: str
) -> None:
    person.lang = lang
    whole = ask(person, tiny, "olá").out
    path.write_bytes(b"no database" * 1000)
    for trouble in ("damaged", "no folder"):
        ran = ask(person, tiny, "olá")
        assert ran.out == whole
        (line,) = ran.err.splitlines()
        assert line.startswith({"pt": "Aviso: ", "en": "Warning: "}[lang]) and str(path) in line
        if trouble == "damaged":
            assert path.read_bytes() == b"no database" * 1000
            ran = person("ask", "olá", "-c", "-m", tiny)  # asked for in so many words: an error
            assert (ran.code, ran.out, str(path) in ran.err) == (1, "", True)
            shutil.rmtree(path.parent)
            path.parent.write_text("a file where the folder should be")


def test_a_folders_name_forges_no_warning(tiny: str, tmp_path: Path) -> None:
    person = Person(tmp_path / "a\x1b[2J\nb")
    (person.home / "data" / "history.db").mkdir(parents=True)
    (line,) = ask(person, tiny, "olá").err.splitlines()
    assert line.startswith("Warning: ") and "\x1b" not in line


def test_a_full_disk_costs_the_record_alone(program: Program, tiny: str, tmp_path: Path) -> None:
    limited = f'ulimit -f 40; exec {program.command} ask "$0" -m {tiny} -n 1 --max-new-tokens 2'
    question = "conte uma história muito longa " * 3
    ran = subprocess.run(
        ["bash", "-c", limited, question], env={**program.variables, "AIRA_LANG": "en"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    (line,) = ran.stderr.splitlines()
    assert (ran.returncode, line.count("The disk does not take the history")) == (0, 1), line
    assert ran.stdout


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_mid_answer(
    program: Program, embedded_gguf: Path, tiny: str, how: signal.Signals
) -> None:
    counting = " ".join(str(number) for number in range(1, 21))  # the model goes on to 300
    command = [program.command, "ask", "--raw", counting, "-m", "smollm2-135m", "-q", "-n", "1",
               "--max-new-tokens", "2000", "-t", "0", "--repetition-penalty", "1"]  # fmt: skip
    with subprocess.Popen(
        command, env=dict(program.variables), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        os.read(running.stdout.fileno(), 1)
        running.send_signal(how)
    path = Path(program("history", "path").stdout.rstrip("\n"))
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "SELECT question FROM turns") == [(counting,)]
    reasons = [] if how == signal.SIGKILL else [("interrupted",)]
    assert rows(path, "SELECT finish_reason FROM answers") == reasons
    shown = program("history", "show", "1")
    assert shown.returncode == 0 and shown.stderr == ""
    assert ("[sem resposta gravada]" in shown.stdout) is (how == signal.SIGKILL)
    if how == signal.SIGKILL:
        ran = program("ask", "olá", "-m", tiny, "-q", *ASK)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert rows(path, "SELECT count(*) FROM conversations") == [(2,)]


# aira history


@pytest.fixture
def brasilia(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three hours behind UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "BRT3")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def filled(path: Path, brasilia: None) -> Path:
    """Two conversations; the first has a branch, a name and an unanswered question."""
    with History.open(path) as history:
        number = started(history, "Qual a capital\ndo Brasil?", "Brasília.", "São Paulo.")
        history.rename(number, "viagem")
        first = history.conversation(number).turns[0].id
        turn(history, "E do Peru?", " Lima. ", conversation=number, parent=AnswerKey(first, 0))
        turn(history, "Tem certeza?", "Não.", conversation=number, parent=AnswerKey(first, 1))
        history.begin_turn(number, None, request("De novo"), "big", NOW)
        started(history, "Olá", "Oi!", minutes=90)
    return path


def test_list(person: Person, filled: Path) -> None:
    ran = person("history", "list")
    assert ran.out.splitlines()[0] == "No.\tDate\tProfile\tTurns\tTitle"
    assert lines(ran) == [
        ["2", "2026-03-01 10:30", "tiny", "1", "Olá"],
        ["1", "2026-03-01 09:00", "big", "4", "viagem · Qual a capital do Brasil?"],
    ]
    ran = person("history", "list", "--limit", "1")
    assert len(lines(ran)) == 1 and "the 1 newest (--limit 0 shows all)" in ran.err
    assert len(lines(person("history", "list", "--limit", "0"))) == 2
    ran = person("history", "list", "--limit", "-1")
    assert ran.code == 2 and "--limit cannot be -1; allowed is ≥ 0" in ran.err
    listed = [json.loads(line) for line in person("history", "list", "--json").out.splitlines()]
    assert listed[1] == {
        "number": 1, "name": "viagem", "title": "Qual a capital do Brasil?", "profile": "big",
        "language": "pt", "created": "2026-03-01T12:00:00+00:00",
        "updated": "2026-03-01T12:00:00+00:00", "turns": 4,
    }  # fmt: skip


def test_an_empty_history(person: Person) -> None:
    assert lines(person("history", "list")) == []
    ran = person("history", "list", terminal=True)
    assert (ran.code, ran.out) == (0, "There are no conversations in the history yet.\n")
    ran = person("history", "search", "x")
    assert (ran.code, ran.out, ran.err) == (0, "", "Nothing was found.\n")


SHOWN = """\
Qual a capital do Brasil?
viagem · No. 1 · 2026-03-01 09:00 · big · questions: 4

Question 1 (tiny):
Qual a capital
do Brasil?

Answer 1 (picked; tokens: 2; seed 5):
Brasília.

Answer 2 (tokens: 2; seed 6):
São Paulo.

Question 2 (tiny):
E do Peru?

Answer 1 (tokens: 2; seed 5):
Lima.

Question 3 (after answer 2 to question 1; tiny):
Tem certeza?

Answer 1 (tokens: 2; seed 5):
Não.

Question 4 (from the start):
De novo

[no answer recorded]
"""


def test_show(person: Person, filled: Path) -> None:
    assert person("history", "show", "1").out == SHOWN
    assert person("history", "show", "viagem").out == SHOWN
    person.lang = "pt"
    shown = person("history", "show", "1").out
    assert "Pergunta 3 (depois da resposta 2 da pergunta 1; tiny):" in shown
    for wrong in ("7", "0", "nada", "9" * 30, "-1"):
        ran = person("history", "show", "--", wrong)
        assert (ran.code, ran.out) == (1, "") and wrong in ran.err


def test_show_as_json(person: Person, filled: Path) -> None:
    tree = json.loads(person("history", "show", "1", "--json").out)
    assert [t["after"] for t in tree["turns"]] == [
        None, {"turn": 1, "row": 0}, {"turn": 1, "row": 1}, None
    ]  # fmt: skip
    assert tree["place"] == {"turn": 3, "row": 0} and tree["name"] == "viagem"
    assert tree["turns"][1]["answers"] == [
        {"row": 0, "text": " Lima. ", "finish_reason": "end", "tokens": 2, "seed": 5,
         "picked": True, "token_ids": None}
    ]  # fmt: skip
    assert tree["turns"][3]["answers"] == [] and tree["turns"][3]["profile"] == "big"


def test_search(person: Person, filled: Path) -> None:
    assert lines(person("history", "search", "BRASILIA")) == [
        ["1", "2026-03-01 09:00", "question 1, answer 1", "Brasília.", "Qual a capital do Brasil?"]
    ]
    found = lines(person("history", "search", "capital do"))
    assert [row[2:4] for row in found] == [["question 1", "Qual a capital do Brasil?"]]
    (line,) = person("history", "search", "nao", "--json").out.splitlines()
    assert json.loads(line) == {
        "conversation": 1, "title": "Qual a capital do Brasil?", "turn": 3, "row": 0,
        "asked": "2026-03-01T12:00:00+00:00", "text": "Não.",
    }  # fmt: skip
    ran = person("history", "search", "do", "--limit", "1")
    assert len(lines(ran)) == 1 and "--limit 0" in ran.err
    ran = person("history", "search", "zebra")
    assert (ran.code, ran.out, ran.err) == (0, "", "Nothing was found.\n")


def test_export(person: Person, filled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.md"
    before = os.umask(0)
    try:
        assert person("history", "export", "1", str(out)).code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# Qual a capital do Brasil?\n\nviagem · No. 1 ·")
    assert "\n## Question 1 (tiny)\n\n> Qual a capital\n> do Brasil?\n\n### Answer 1 " in text
    assert person("history", "export", "1").out == text
    assert person("history", "export", "1", "-").out == text

    plain, tree = tmp_path / "out.TXT", tmp_path / "out.json"
    assert person("history", "export", "viagem", str(plain)).code == 0
    assert plain.read_text(encoding="utf-8") == SHOWN
    assert person("history", "export", "1", str(tree)).code == 0
    assert tree.read_text() == person("history", "show", "1", "--json").out


def test_export_replaces_only_by_force(person: Person, filled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    out.write_text("mine")
    ran = person("history", "export", "2", str(out))
    assert ran.code == 2 and "--force" in ran.err and out.read_text() == "mine"
    assert person("history", "export", "2", str(out), "--force").code == 0
    assert out.read_text().startswith("Olá\n")
    dangling = tmp_path / "link.txt"
    dangling.symlink_to(tmp_path / "nowhere")
    assert person("history", "export", "2", str(dangling)).code == 2

    for wrong, code in (("out.doc", 2), ("out", 2), ("none/out.md", 1), ("out.txt/x.md", 1)):
        ran = person("history", "export", "2", str(tmp_path / wrong))
        assert (ran.code, len(ran.err.splitlines())) == (code, 1) and wrong in ran.err
    (tmp_path / "folder.md").mkdir()
    ran = person("history", "export", "2", str(tmp_path / "folder.md"), "--force")
    assert ran.code == 1 and sorted(p.name for p in tmp_path.iterdir()) == [
        "data", "folder.md", "link.txt", "out.txt"
    ]  # fmt: skip


def test_rm(person: Person, filled: Path) -> None:
    for arguments in ((), ("1", "--all"), ("1",), ("--all",)):
        ran = person("history", "rm", *arguments, stdin=b"")
        assert (ran.code, ran.out) == (2, "")
    ran = person("history", "rm", "2", "7", "--yes")
    assert ran.code == 1 and rows(filled, "SELECT count(*) FROM conversations") == [(2,)]
    ran = person("history", "rm", "2", "2", "viagem", "--yes")
    assert (ran.code, ran.out) == (0, "Conversations removed: 2.\n")
    for table in ("conversations", "turns", "answers", "words"):
        assert rows(filled, f"SELECT count(*) FROM {table}") == [(0,)]
    assert person("history", "rm", "--all").out == "Conversations removed: 0.\n"


def test_rm_asks_on_a_terminal(program: Program) -> None:
    path = Path(program("history", "path").stdout.rstrip("\n"))
    assert not path.exists()
    with History.open(path) as history:
        for question in ("um", "dois\x1b[2J", "três"):
            started(history, question, "x")
    for arguments, answer, left in (
        (("2",), "", 3), (("2",), "Sim", 2), (("--all",), "não", 2), (("--all",), "y", 0)
    ):  # fmt: skip
        terminal = Terminal(program, ("history", "rm", *arguments))
        terminal.until("[s/N]")
        assert "Apagar" in terminal.screen() and b"\x1b[2J" not in terminal.raw
        terminal.send(f"{answer}\r")
        assert terminal.wait() == 0
        assert rows(path, "SELECT count(*) FROM conversations") == [(left,)]


def test_forged_control_characters_are_only_text(
    person: Person, tiny: str, path: Path, tmp_path: Path
) -> None:
    ask(person, tiny, EVIL + " olá")
    with History.open(path) as history:
        history.rename(1, EVIL)
        begun = history.conversation(1).turns[0].id
        history.finish_turn(begun, answers(EVIL + " mundo"), None, NOW)
    assert rows(path, "SELECT question FROM turns") == [(EVIL + " olá",)]  # kept raw
    out = tmp_path / "out.md"
    assert person("history", "export", "1", str(out)).code == 0
    shown = [out.read_text(encoding="utf-8")]
    for command in (("list",), ("show", "1"), ("search", "ola"), ("search", "mundo")):
        for flags in ((), ("--json",)):
            for terminal in (False, True):
                ran = person("history", *command, *flags, terminal=terminal)
                assert ran.code == 0 and ran.out
                shown.append(ran.out)
    shown += [person("history", "export", "1").out, person("history", "show", EVIL + "?").err]
    for text in shown:
        assert not {"\x07", "\x9b", "\u202e", "\r"} & set(text), text
        assert "\x1b]" not in text and "\x1b[2J" not in text
    tree = json.loads(person("history", "show", "1", "--json").out)
    assert tree["turns"][0]["question"] == EVIL + " olá"


def test_the_title_stays_in_a_narrow_window(program: Program) -> None:
    path = Path(program("history", "path").stdout.rstrip("\n"))
    with History.open(path) as history:
        started(history, "a capital do Brasil", "x")
    for columns in (60, 200):
        terminal = Terminal(program, ("history", "list"), columns=columns)
        assert terminal.wait() == 0
        screen = terminal.screen()
        assert "Título" in screen and "capital" in screen and "2026-03-01" in screen


def test_a_damaged_history_is_told(person: Person, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    for lang, says in (("pt", "danificado"), ("en", "damaged")):
        person.lang = lang
        for command in (("list",), ("show", "1"), ("search", "x"), ("rm", "--all", "--yes")):
            ran = person("history", *command)
            assert (ran.code, ran.out) == (1, "")
            assert says in ran.err and str(path) in ran.err and "Traceback" not in ran.err
    assert person("history", "path").out == f"{path}\n"
