"""The history's file, read back with sqlite3 itself: its content, its rights, what it survives.

The commands that show it are tested in test_history_commands.py.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aira_cli.errors import HistoryError, UsageError
from aira_cli.history import connection as opening
from aira_cli.history import schema
from aira_cli.history.recorder import Recorder
from aira_cli.history.records import AnswerKey, SavedAnswer
from aira_cli.history.search import excerpt
from aira_cli.history.store import History
from aira_cli.types import Message, Request, Sampling, Stats

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STATS = Stats(7, 3, (2, 2), 0.5, 1.25)

# The first version of the schema, word for word as it was released. Never edit it.
FIRST_SCHEMA = """
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, title TEXT NOT NULL,
    profile TEXT NOT NULL, language TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    place_turn INTEGER, place_row INTEGER
);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    parent_turn INTEGER CHECK (parent_turn < id), parent_row INTEGER,
    question TEXT NOT NULL, system TEXT, profile TEXT NOT NULL, settings TEXT NOT NULL,
    asked TEXT NOT NULL, stats TEXT,
    FOREIGN KEY (parent_turn, parent_row) REFERENCES answers (turn, row) ON DELETE CASCADE
);
CREATE TABLE answers (
    turn INTEGER NOT NULL REFERENCES turns ON DELETE CASCADE,
    row INTEGER NOT NULL CHECK (row BETWEEN 0 AND 65534),
    seed TEXT NOT NULL, text TEXT NOT NULL, tokens INTEGER NOT NULL, finish_reason TEXT,
    picked INTEGER NOT NULL, token_ids TEXT,
    PRIMARY KEY (turn, row)
);
CREATE INDEX turns_of_conversation ON turns (conversation, id);
CREATE INDEX turns_of_parent ON turns (parent_turn, parent_row);
CREATE UNIQUE INDEX one_picked ON answers (turn) WHERE picked;
CREATE VIEW texts (place, text) AS
    SELECT id << 16, question FROM turns
    UNION ALL SELECT (turn << 16) + row + 1, text FROM answers;
PRAGMA user_version = 1;
"""
FIRST_ROWS = """
INSERT INTO conversations VALUES
    (4, 'viagem', 'Olá', 'ttl', 'pt', '2026-01-02T03:04:05.000+00:00',
     '2026-01-02T03:04:06.000+00:00', 9, 1);
INSERT INTO turns VALUES
    (9, 4, NULL, NULL, 'Olá', NULL, 'ttl', '{"seed": 5}', '2026-01-02T03:04:05.000+00:00', NULL);
INSERT INTO answers VALUES (9, 0, '5', 'Não sei.', 3, 'end', 0, '[1, 2, 3]');
INSERT INTO answers VALUES (9, 1, '6', 'Bom dia!', 2, 'length', 1, NULL);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "aira" / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with History.open(path) as opened:
        yield opened


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as direct:
        return direct.execute(query).fetchall()


def request(question: str, *said: Message, seed: int = 5, **sampling: Any) -> Request:
    return Request((*said, Message("user", question)), Sampling(**sampling), seed)


def answers(*texts: str, picked: int = 0) -> list[SavedAnswer]:
    return [SavedAnswer(n, 5 + n, text, 2, "end", n == picked) for n, text in enumerate(texts)]


def turn(
    history: History, question: str, *texts: str, conversation: int, parent: AnswerKey | None,
    minutes: int = 0,
) -> int:  # fmt: skip
    """Another turn of a conversation; its id."""
    now = NOW + timedelta(minutes=minutes)
    begun = history.begin_turn(conversation, parent, request(question), "tiny", now)
    history.finish_turn(begun, answers(*texts), STATS, now)
    return begun


def started(history: History, question: str, *texts: str, minutes: int = 0) -> int:
    """A conversation with one turn; its number."""
    number = history.start(question, "tiny", "pt", NOW + timedelta(minutes=minutes))
    turn(history, question, *texts, conversation=number, parent=None, minutes=minutes)
    return number


def key_of(path: Path) -> str:
    """Why the history at `path` cannot be opened."""
    with pytest.raises(HistoryError) as raised:
        History.open(path)
    assert raised.value.exit_code == 1
    return raised.value.key


# what is written


def test_a_turn_is_in_the_file(history: History, path: Path) -> None:
    system = Message("system", "Seja breve.")
    number = history.start(" Qual é\n a capital?\n", "ttl-460m", "pt", NOW)
    asked = request("Qual é\na capital?", system, samples=2, temperature=0.5, stop=("\n",))
    begun = history.begin_turn(number, None, asked, "ttl-460m", NOW)
    assert rows(path, "SELECT question, stats FROM turns") == [("Qual é\na capital?", None)]
    drawn = [
        SavedAnswer(0, 5, "Brasília", 3, "end", picked=True, token_ids=(8, 9, 2)),
        SavedAnswer(1, 6, "", 1, None),
    ]
    history.finish_turn(begun, drawn, STATS, NOW + timedelta(seconds=2))

    assert rows(path, "SELECT title, profile, language, created, updated FROM conversations") == [
        ("Qual é a capital?", "ttl-460m", "pt", "2026-03-01T12:00:00.000+00:00",
         "2026-03-01T12:00:02.000+00:00")
    ]  # fmt: skip
    ((system_text, kept, stats),) = rows(path, "SELECT system, settings, stats FROM turns")
    assert system_text == "Seja breve."
    assert json.loads(kept) == {
        "samples": 2, "temperature": 0.5, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.0,
        "max_new_tokens": 200, "stop": ["\n"], "seed": 5, "raw": False,
    }  # fmt: skip
    assert json.loads(stats)["tokens"] == [2, 2] and json.loads(stats)["decode_seconds"] == 1.25
    assert rows(path, "SELECT row, seed, text, finish_reason, picked, token_ids FROM answers") == [
        (0, "5", "Brasília", "end", 1, "[8, 9, 2]"), (1, "6", "", None, 0, None)
    ]  # fmt: skip
    (saved,) = history.conversation(number).turns
    assert saved.answers == tuple(drawn) and saved.asked == NOW and saved.system == "Seja breve."


@given(question=st.text(), answer=st.text())
@settings(
    max_examples=20, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # one file may hold them all
)  # fmt: skip
def test_texts_come_back_as_they_were(
    history: History, path: Path, question: str, answer: str
) -> None:
    number = started(history, question, answer)
    (saved,) = history.conversation(number).turns
    history.search([question, answer])  # whatever is in them, it is words and no query
    assert (saved.question, saved.answers[0].text) == (question, answer)
    newest = "SELECT cast(question AS BLOB) FROM turns ORDER BY id DESC LIMIT 1"
    assert rows(path, newest) == [(question.encode(),)]


def test_what_no_file_can_hold_is_replaced(history: History, path: Path) -> None:
    number = started(history, "a\udcff\ud83d\ude00", "b\ud800")
    assert history.conversation(number).turns[0].question == "a\ufffd😀"
    assert rows(path, "SELECT text FROM answers") == [("b\ufffd",)]
    assert history.search(["\udcff"]) == () and history.named("\udcff") is None


def test_seeds_beyond_sqlites_integers(history: History) -> None:
    number = history.start("oi", "tiny", "pt", NOW)
    largest = 2**63 - 1
    begun = history.begin_turn(number, None, request("oi", seed=largest), "tiny", NOW)
    history.finish_turn(begun, [SavedAnswer(1, largest + 1, "x", 1, "end")], None, NOW)
    saved = history.conversation(number).turns[0]
    assert (saved.settings["seed"], saved.answers[0].seed) == (largest, 2**63)


def test_answers_may_come_in_parts(history: History, path: Path) -> None:
    """More rows, and a row that was cut and goes on; what was picked stays picked."""
    number = started(history, "conte", "Era uma vez", "Havia")
    begun = history.conversation(number).turns[0].id
    grown = SavedAnswer(0, 5, "Era uma vez um barco", 9, "end")
    history.finish_turn(begun, [grown, SavedAnswer(2, 7, "Longe", 1, "length")], None, NOW)
    assert rows(path, "SELECT row, text, tokens, finish_reason, picked FROM answers") == [
        (0, "Era uma vez um barco", 9, "end", 1), (1, "Havia", 2, "end", 0),
        (2, "Longe", 1, "length", 0),
    ]  # fmt: skip
    assert history.conversation(number).turns[0].stats is not None
    assert [found.row for found in history.search(["barco"])] == [0]
    assert len(rows(path, "SELECT * FROM words")) == 4


# the tree


def test_a_conversation_goes_on_from_any_answer(history: History) -> None:
    number = started(history, "um", "1a", "1b")
    first = history.conversation(number).turns[0].id
    second = turn(history, "dois", "2a", "2b", conversation=number, parent=AnswerKey(first, 0))
    assert [m.text for m in history.conversation(number).messages()] == ["um", "1a", "dois", "2a"]

    turn(history, "três", " 3a\n", conversation=number, parent=AnswerKey(first, 1))
    said = history.conversation(number).messages()
    assert said == (
        Message("user", "um"), Message("assistant", "1b"), Message("user", "três"),
        Message("assistant", "3a"),
    )  # fmt: skip

    history.pick(AnswerKey(second, 1))
    saved = history.conversation(number)
    assert [m.text for m in saved.messages()] == ["um", "1a", "dois", "2b"]
    assert [t.picked() for t in saved.turns][1] == AnswerKey(second, 1)
    history.go_to(number, AnswerKey(first, 0))
    assert [m.text for m in history.conversation(number).messages()] == ["um", "1a"]
    history.go_to(number, None)
    assert history.conversation(number).messages() == ()
    assert [t.number for t in saved.turns] == [1, 2, 3]


def test_a_system_text_goes_first(history: History) -> None:
    number = history.start("oi", "tiny", "pt", NOW)
    asked = request("oi", Message("system", "Fale pouco."))
    begun = history.begin_turn(number, None, asked, "tiny", NOW)
    history.finish_turn(begun, answers("olá"), None, NOW)
    assert [m.role for m in history.conversation(number).messages()] == [
        "system", "user", "assistant"
    ]  # fmt: skip


def test_an_unanswered_question_is_not_asked_again(history: History) -> None:
    """Killed, or answered with nothing: the conversation goes on from before."""
    number = started(history, "um", "1a")
    place = history.conversation(number).place
    history.begin_turn(number, place, request("dois"), "tiny", NOW)
    turn(history, "três", " \n", conversation=number, parent=place)
    saved = history.conversation(number)
    assert saved.place == place and [m.text for m in saved.messages()] == ["um", "1a"]
    assert [len(t.answers) for t in saved.turns] == [1, 0, 1]
    history.pick(AnswerKey(saved.turns[2].id, 0))
    assert [m.text for m in history.conversation(number).messages()] == ["um", "1a"]


def test_only_an_answer_that_is_there_can_be_picked(history: History) -> None:
    number = started(history, "um", "1a")
    with pytest.raises(HistoryError):
        history.pick(AnswerKey(history.conversation(number).turns[0].id, 7))
    assert history.conversation(number).turns[0].picked() is not None


# lists, names, searches


def test_lists_are_newest_first(history: History) -> None:
    numbers = [started(history, f"pergunta {n}", "x", minutes=n) for n in (3, 1, 2)]
    assert [c.number for c in history.conversations()] == [numbers[0], numbers[2], numbers[1]]
    assert [c.number for c in history.conversations(limit=1)] == [numbers[0]]
    assert history.latest() == numbers[0]
    history.begin_turn(numbers[1], None, request("de novo"), "big", NOW + timedelta(hours=1))
    newest = history.conversations()[0]
    assert (newest.number, newest.turns, newest.profile) == (numbers[1], 2, "big")


def test_nothing_is_there_at_first(history: History) -> None:
    assert history.conversations() == () and history.latest() is None
    assert history.search(["x"]) == ()


def test_names(history: History) -> None:
    first, second = started(history, "um", "x"), started(history, "dois", "y")
    history.rename(first, " minha  viagem ")
    assert history.named("minha viagem") == first and history.named("minha") is None
    history.rename(first, "minha viagem")
    for wrong, key in (("minha viagem", "taken"), ("12", "invalid"), (" ", "invalid")):
        with pytest.raises(UsageError, match=key):
            history.rename(second, wrong)
    with pytest.raises(HistoryError, match="no_conversation"):
        history.rename(99, "outra")
    assert [c.number for c in history.conversations(words=["VIÁGEM"])] == [first]


TEXTS = ("Olá, João! Que bom", "ação e reação", "uma Acao só", "say “AND” or NOT", "a_b 42% c++")
SEARCHES = [
    (["ola"], [0]),
    (["OLÁ", "joao"], [0]),
    (["joao", "reacao"], []),
    (["acao"], [1, 2]),
    (["ac\u0327a\u0303o"], [1, 2]),
    (["bom que"], []),
    (["que bom"], [0]),
    (["AND"], [3]),
    (['"'], []),
    (["NOT", "?"], [3]),
    (["reac*"], []),
    (["b"], [4]),
    (["42"], [4]),
    (["text:"], []),
    (["olá\0"], [0]),
]


def unindexed(path: Path) -> History:
    """As a program whose SQLite has no FTS5 opens the history."""
    path.parent.mkdir()
    connection = sqlite3.connect(path, isolation_level=None)
    schema.migrate(connection, indexed=False)
    return History(path, connection)


@pytest.mark.parametrize("indexed", [True, False])
def test_search(path: Path, indexed: bool) -> None:
    with History.open(path) if indexed else unindexed(path) as history:
        numbers = [started(history, f"pergunta número {n}", text) for n, text in enumerate(TEXTS)]
        assert rows(path, "SELECT count(*) FROM sqlite_master WHERE name = 'words'") == [(indexed,)]
        for words, expected in SEARCHES:
            found = [f.conversation for f in history.search(words)]
            assert found == [numbers[n] for n in reversed(expected)], words
            listed = {c.number for c in history.conversations(words=words)}
            assert listed == {numbers[n] for n in expected}, words
        assert [f.row for f in history.search(["numero"])] == [None] * 5
        (third,) = history.search(["PERGUNTA numero 3"])
        assert (third.title, third.turn, third.text) == ("pergunta número 3", 1, third.title)
        assert len(history.search(["pergunta"], limit=2)) == 2


def test_a_history_without_an_index_gets_one(path: Path) -> None:
    with unindexed(path) as history:
        number = started(history, "olá", "mundo")
    with History.open(path) as history:
        assert rows(path, "SELECT text FROM words WHERE words MATCH 'mundo'") == [("mundo",)]
        assert [f.conversation for f in history.search(["ola"])] == [number]


def test_the_place_that_was_found_is_shown() -> None:
    text = "Lorem " * 50 + "a capital é São\nPaulo? " + "ipsum " * 50
    for words in (["sao"], ["nada", "sao paulo"], ["CAPITAL"]):
        shown = excerpt(text, words)
        assert "capital é São\nPaulo?" in shown and len(shown) < 90
        assert shown.startswith("…Lorem") and shown.endswith("…")
    assert excerpt("curto", ["x"]) == "curto" and excerpt("", ["x"]) == ""
    assert excerpt("ﬁm " + "y" * 200 + " fim", ["fim"], 20).startswith("ﬁm")


# rights, versions


def modes(folder: Path) -> dict[str, int]:
    return {p.name: stat.S_IMODE(p.stat().st_mode) for p in (folder, *folder.iterdir())}


def test_only_the_owner_may_read_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)  # the most careless there is
    try:
        with monkeypatch.context() as patch:
            patch.setattr(opening, "_narrow", lambda _: None)  # what is new needs none of it
            history = History.open(path)
        with history:
            started(history, "segredo", "x")
            assert modes(path.parent) == {
                "aira": 0o700, "history.db": 0o600, "history.db-wal": 0o600,
                "history.db-shm": 0o600,
            }  # fmt: skip
        path.chmod(0o644)
        with History.open(path):
            assert modes(path.parent)["history.db"] == 0o600
    finally:
        os.umask(before)


def test_it_is_a_write_ahead_log(history: History, path: Path) -> None:
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


def tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
    return [re.sub(r"\s+", " ", sql).replace("( ", "(").replace(" )", ")") for (sql,) in found]


def test_the_first_step_is_what_was_released() -> None:
    with closing(sqlite3.connect(":memory:")) as first, closing(sqlite3.connect(":memory:")) as now:
        first.executescript(FIRST_SCHEMA)
        for statement in schema.MIGRATIONS[0]:
            now.execute(statement)
        assert tables(first) == tables(now)


def first_version(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(FIRST_SCHEMA + FIRST_ROWS)


def test_a_history_of_the_first_version_goes_on(path: Path) -> None:
    first_version(path)
    with History.open(path) as history:
        saved = history.conversation(4)
        assert saved.listed.name == "viagem" and saved.turns[0].answers[0].token_ids == (1, 2, 3)
        assert [m.text for m in saved.messages()] == ["Olá", "Bom dia!"]
        assert [f.row for f in history.search(["nao"])] == [0]
        assert started(history, "nova", "x") == 5
    assert rows(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]


def test_later_steps_are_taken_whole_or_not_at_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_version(path)
    colour = ("ALTER TABLE conversations ADD COLUMN colour TEXT DEFAULT 'azul'",)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, colour, ("NONSENSE",)))
    assert key_of(path) == "history_failed"
    assert rows(path, "PRAGMA user_version") == [(1,)]
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:-1])
    with History.open(path) as history:
        assert history.conversation(4).turns
    assert rows(path, "SELECT number, colour FROM conversations") == [(4, "azul")]
    assert rows(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]


def test_a_newer_programs_history_is_not_touched(path: Path) -> None:
    with History.open(path) as history:
        started(history, "olá", "x")
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    path.chmod(0o644)
    before = path.read_bytes()
    assert key_of(path) == "history_newer"
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [path.name]
    assert modes(path.parent)["history.db"] == 0o644


# what can go wrong


# What children share; they import no test file, which would make each of them slow to start.
PREAMBLE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from aira_cli.errors import HistoryError
from aira_cli.history.records import SavedAnswer
from aira_cli.history.recorder import Recorder
from aira_cli.history.store import History
from aira_cli.types import Message, Request, Sampling
def now(): return datetime(2026, 3, 1, tzinfo=UTC)
def asked(question): return Request((Message("user", question),), Sampling(), 1)
def answer(text): return [SavedAnswer(0, 1, text, 1, "end", True)]
def key_of(path):
    try:
        History.open(path)
    except HistoryError as error:
        return error.key
"""


def child(script: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


WRITER = """
path, turns = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True); sys.stdin.readline()
for number in range(turns):
    writing = Recorder(path, "pt", now, print)
    writing.begin(asked(f"pergunta {number}"), "tiny")
    writing.finish(answer("resposta " * 500), None)
    print(number, flush=True)
"""


def test_killed_while_writing(path: Path) -> None:
    with child(WRITER, path, 100_000, stdin=subprocess.PIPE) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
        for _ in range(30):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        written = len([*range(30), *writer.stdout.readlines()]) - 1
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    with History.open(path) as history:
        kept = history.conversations()
        assert len(kept) - written in (0, 1)  # one may have been written and not yet printed
        assert len(history.search(["resposta"])) in (len(kept) - 1, len(kept))
        assert started(history, "depois", "x") == len(kept) + 1


BEGINNER = """
print("ready", flush=True)
for line in sys.stdin:
    with History.open(Path(line.strip())) as history:
        print(history.start("olá", "tiny", "pt", now()), flush=True)
"""


def test_several_programs_begin_a_history_at_once(tmp_path: Path) -> None:
    """Each opens it, writes, closes it, all at the same time, on one new file after another."""
    beginners = [child(BEGINNER, stdin=subprocess.PIPE) for _ in range(4)]
    for program in beginners:
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
    for attempt in range(10):
        path = tmp_path / str(attempt) / "history.db"
        for program in beginners:
            assert program.stdin is not None
            program.stdin.write(f"{path}\n")
            program.stdin.flush()
        said = sorted(program.stdout.readline() for program in beginners if program.stdout)
        assert said == [f"{number}\n" for number in range(1, 5)]
    for program in beginners:
        assert program.communicate(timeout=60)[1] == ""


def test_a_new_history_waits_for_whoever_makes_it(path: Path) -> None:
    """SQLite itself gives up at once where a file is to have a log and another program writes."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as maker:
        maker.execute("BEGIN IMMEDIATE")
        with child(BEGINNER, stdin=subprocess.PIPE) as beginner:
            assert beginner.stdin is not None and beginner.stdout is not None
            assert beginner.stdout.readline() == "ready\n"
            beginner.stdin.write(f"{path}\n")
            beginner.stdin.flush()
            assert select.select([beginner.stdout], [], [], 0.3)[0] == []
            maker.rollback()
            assert beginner.stdout.readline() == "1\n"


def test_several_programs_write_at_once(path: Path) -> None:
    writers = [child(WRITER, path, 15, stdin=subprocess.PIPE) for _ in range(3)]
    for writer in writers:
        said, complained = writer.communicate("go\n", timeout=60)
        assert (writer.returncode, complained) == (0, "")
        assert len(said.splitlines()) == 1 + 15
    assert rows(path, "SELECT count(*), max(number) FROM conversations") == [(45, 45)]
    assert rows(path, "SELECT count(*) FROM answers") == [(45,)]


def test_an_open_chat_locks_nobody_out(path: Path) -> None:
    with History.open(path) as one, History.open(path) as other:
        number = started(one, "um", "x")
        assert started(other, "dois", "y") == number + 1
        assert len(one.conversations()) == 2


COUNTER = """
import sqlite3
print(*sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM turns").fetchone())
"""


def test_opening_it_twice_in_one_program_keeps_its_locks(path: Path) -> None:
    """Else another program, closing it, would take the log away from under this one."""
    with History.open(path) as one:
        started(one, "um", "x")
        with History.open(path):
            child(WRITER, path, 1, stdin=subprocess.PIPE).communicate("go\n", timeout=60)
            started(one, "dois", "y")
            assert child(COUNTER, path).communicate(timeout=60)[0] == "3\n"


def test_a_program_that_keeps_it_locked_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    with History.open(path) as history, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match="history_busy"):
            started(history, "um", "x")
        other.rollback()
        assert started(history, "um", "x") == 1


def test_removed_while_in_use(history: History) -> None:
    number = started(history, "um", "x")
    begun = history.begin_turn(number, None, request("dois"), "tiny", NOW)
    history.remove(number)
    with pytest.raises(HistoryError, match="history_gone"):
        history.finish_turn(begun, answers("y"), None, NOW)
    with pytest.raises(HistoryError, match="history_gone"):
        history.begin_turn(number, None, request("três"), "tiny", NOW)


def everything(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in folder.iterdir() if not p.name.endswith("-shm"))


def test_what_is_removed_leaves_the_disk(history: History, path: Path) -> None:
    secret = started(history, "um xilofone secreto", "o zepelim")
    first = history.conversation(secret).turns[0].id
    turn(history, "ramo", "quimera", conversation=secret, parent=AnswerKey(first, 0))
    other = started(history, "dois", "y")
    words = [b"xilofone", b"zepelim", b"quimera"]
    assert all(word in everything(path.parent) for word in words)
    with pytest.raises(HistoryError, match="no_conversation"):
        history.remove(secret, 99)
    assert len(history.conversations()) == 2
    history.remove(secret)
    assert not any(word in everything(path.parent) for word in words)
    assert [c.number for c in history.conversations()] == [other]
    assert rows(path, "SELECT count(*) FROM words") == [(2,)]
    assert started(history, "três", "z") == other + 1  # a number is never given twice


@pytest.mark.parametrize("damage", ["garbage", "cut", "overwritten", "settings", "date"])
def test_damage_is_told(path: Path, damage: str) -> None:
    with History.open(path) as history:
        for n in range(40):
            started(history, f"pergunta {n}", "resposta " * 300)
    whole = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"Lorem ipsum dolor sit amet " * 200)
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "overwritten":
        path.write_bytes(whole[:8192] + b"\xa5" * (len(whole) - 8192))
    elif damage == "settings":
        path.write_bytes(whole.replace(b'{"samples"', b'{#samples"'))
    else:
        path.write_bytes(whole.replace(b"2026-03-01T", b"2O26-03-01T"))
    with pytest.raises(HistoryError) as raised, History.open(path) as history:
        history.conversation(1)
    assert raised.value.key == "history_damaged" and raised.value.fields["path"] == path


def recorder(path: Path, complaints: list[str]) -> Recorder:
    return Recorder(path, "pt", lambda: NOW, lambda error: complaints.append(error.key))


def test_a_recorder_complains_once_and_goes_on_without(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("no database at all, and long enough not to be an empty file " * 20)
    complaints: list[str] = []
    broken = recorder(path, complaints)
    for _ in range(2):
        broken.begin(request("um"), "tiny")
        broken.finish(answers("x"), STATS)
    assert complaints == ["history_damaged"]


def test_a_recorder_goes_on_from_the_picked_answer(path: Path) -> None:
    complaints: list[str] = []
    writing = recorder(path, complaints)
    for question, texts, picked in (
        ("um", ("a", "b"), 1),
        ("dois", (" ",), 0),
        ("três", ("c",), 0),
    ):
        writing.begin(request(question), "tiny")
        writing.finish(answers(*texts, picked=picked), STATS)
    assert complaints == []
    with History.open(path) as history:
        said = [m.text for m in history.conversation(1).messages()]
    assert said == ["um", "b", "três", "c"]
    assert rows(path, "SELECT parent_turn, parent_row FROM turns") == [
        (None, None), (1, 1), (1, 1)
    ]  # fmt: skip


FULL_DISK = """
import resource
path, size = Path(sys.argv[1]), int(sys.argv[2])
writing = Recorder(path, "pt", now, lambda error: print(error.key))
writing.begin(asked("cabe"), "tiny"); writing.finish(answer("x"), None)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
writing.begin(asked("não cabe " * 50_000), "tiny"); writing.finish(answer("y"), None)
"""


@pytest.mark.parametrize("size", [1, 200_000])
def test_a_full_disk_is_told_and_what_was_there_stays(path: Path, size: int) -> None:
    said, complained = child(FULL_DISK, path, size).communicate(timeout=60)
    assert (said, complained) == ("history_disk\n", "")
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "SELECT question FROM turns") == [("cabe",)]
    with History.open(path) as history:
        assert started(history, "de novo", "x") == 2


def test_a_disk_full_from_the_start(path: Path) -> None:
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # noqa: E731
    said, complained = child(
        "print(key_of(Path(sys.argv[1])))", path, preexec_fn=limit
    ).communicate(timeout=60)
    assert (said, complained) == ("history_disk\n", "")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert key_of(tmp_path / "file" / "history.db") == "history_unwritable"
    (tmp_path / "history.db").mkdir()
    assert key_of(tmp_path / "history.db") == "history_unwritable"


READ_ONLY = """
import os
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)  # root may write everywhere
print(key_of(Path(sys.argv[1], "none.db")), key_of(Path(sys.argv[1], "history.db")))
"""


def test_a_folder_that_may_not_be_written(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is closed to anyone else
        kept = Path(folder, "history.db")
        with History.open(kept) as history:
            started(history, "um", "x")
        kept.chmod(0o444)
        Path(folder).chmod(0o555)
        said, complained = child(READ_ONLY, folder).communicate(timeout=60)
        Path(folder).chmod(0o700)
    assert (said, complained) == ("history_unwritable history_unwritable\n", "")


# ten thousand turns


def test_ten_thousand_turns(path: Path) -> None:
    with History.open(path) as history:
        started(history, "primeira", "x")
    with closing(sqlite3.connect(path)) as direct:
        turns = [(n, n // 10, f"pergunta {n}", f"coração {n}") for n in range(10, 10_010)]
        direct.executemany(
            "INSERT INTO conversations VALUES (?, NULL, ?, 'tiny', 'pt', ?, ?, NULL, NULL)",
            [(n, f"conversa {n}", *[(NOW + timedelta(minutes=n)).isoformat()] * 2)
             for n in range(2, 1001)],
        )  # fmt: skip
        direct.executemany(
            "INSERT INTO turns VALUES (?, max(?, 2), NULL, NULL, ?, NULL, 'tiny', '{}', "
            f"'{NOW.isoformat()}', NULL)",
            [fields[:3] for fields in turns],
        )
        direct.executemany(
            "INSERT INTO answers VALUES (?, 0, '1', ?, 5, 'end', 1, NULL)",
            [(fields[0], fields[3]) for fields in turns],
        )
        direct.commit()
    with History.open(path) as history:
        listed = history.conversations()
        assert len(listed) == 1000 and sum(c.turns for c in listed) == 10_001
        assert [c.number for c in history.conversations(limit=3)] == [1000, 999, 998]
        found = history.search(["CORACAO"], limit=20)
        assert [f.text for f in found] == [f"coração {n}" for n in range(10_009, 9989, -1)]
        (one,) = history.search(["coracao", "7777"])
        assert (one.conversation, one.turn, one.row) == (777, 8, 0)
        assert [c.number for c in history.conversations(words=["7777"])] == [777]
        assert len(history.search(["coração"])) == 10_000
