"""Times a history of many turns: recording, listing, searching, reading a conversation.

The history is a real file in a temporary folder, written turn by turn as the chat writes it.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aira_cli.bench.report import Figure, figure_of
from aira_cli.history.records import AnswerKey, SavedAnswer
from aira_cli.history.store import History
from aira_cli.types import Message, Request, Sampling

TURNS_OF_A_CONVERSATION = 10
ANSWERS = 2
WORDS_OF_AN_ANSWER = 60
LISTED = 20

FREQUENT, RARE = "capital", "jabuticaba"
_SYLLABLES = ("ca", "pi", "tal", "bra", "si", "lei", "ro", "ma", "ção", "vi", "da", "que", "ver")
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def measure_history(turns: int, rounds: int, announce: Callable[[], None]) -> dict[str, Figure]:
    """Seconds by name, over `rounds`, and the file's size in bytes; `turns` are written first.

    Every answer has the FREQUENT word, one of all of them the RARE one.
    """
    with tempfile.TemporaryDirectory(prefix="aira-bench-") as folder:
        path = Path(folder, "history.db")
        announce()
        recording = _write(path, turns)
        measured: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, seconds in _round(path, turns):
                measured.setdefault(name, []).append(seconds)
        size = float(path.stat().st_size)
    found = {name: figure_of(seconds) for name, seconds in measured.items()}
    return {"file_bytes": figure_of([size]), "record_seconds": figure_of(recording), **found}


def _round(path: Path, turns: int) -> Iterator[tuple[str, float]]:
    """Each figure once, in a history opened anew."""
    with _stopwatch() as seconds:
        history = History.open(path)
    yield "open_seconds", seconds[0]
    works: dict[str, Callable[[], object]] = {
        "list_seconds": lambda: history.conversations(LISTED),
        "rare_seconds": lambda: history.search([RARE], LISTED),
        "frequent_seconds": lambda: history.search([FREQUENT], LISTED),
        "read_seconds": lambda: history.conversation(-(-turns // TURNS_OF_A_CONVERSATION)),
    }
    with history:
        for name, work in works.items():
            with _stopwatch() as seconds:
                work()
            yield name, seconds[0]


@contextmanager
def _stopwatch() -> Iterator[list[float]]:
    seconds: list[float] = []
    began = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - began)


def _write(path: Path, turns: int) -> list[float]:
    """The seconds that each turn took to be recorded."""
    chance, seconds = random.Random(1), []
    rare = turns // 2
    with History.open(path) as history:
        for number in range(turns):
            now = _BEGAN + timedelta(minutes=number)
            question = Request((Message("user", _text(chance, 8)),), Sampling(), number)
            texts = [f"{FREQUENT} {_text(chance, WORDS_OF_AN_ANSWER)}" for _ in range(ANSWERS)]
            if number == rare:
                texts[0] += f" {RARE}"
            began = time.perf_counter()
            if number % TURNS_OF_A_CONVERSATION == 0:
                conversation = history.start(question.messages[0].text, "tiny", "pt", now)
                place = None
            turn = history.begin_turn(conversation, place, question, "tiny", now)
            history.finish_turn(turn, _answers(texts), None, now)
            place = AnswerKey(turn, 0)
            seconds.append(time.perf_counter() - began)
    return seconds


def _answers(texts: list[str]) -> list[SavedAnswer]:
    return [
        SavedAnswer(row, row, text, WORDS_OF_AN_ANSWER, "end", picked=row == 0)
        for row, text in enumerate(texts)
    ]


def _text(chance: random.Random, words: int) -> str:
    """Words that nobody wrote, of one to four syllables."""
    return " ".join(
        "".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(words)
    )
