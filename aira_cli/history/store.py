"""The history: conversations, their turns and answers, kept in one SQLite file.

A question is written before it is answered, the answers when they are complete, each in a
transaction of its own: a program killed in between loses at most that answer. Several programs
may write at once. Texts are stored raw; showing, exporting and the clock are others' work.
Every method raises HistoryError where the file cannot be used.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from aira_cli.errors import HistoryError, UsageError
from aira_cli.history.connection import connect, history_errors, transaction
from aira_cli.history.records import (
    AnswerKey,
    Found,
    Listed,
    SavedAnswer,
    SavedConversation,
    SavedTurn,
)
from aira_cli.history.schema import has_index, knows_fts5
from aira_cli.history.search import has_words, match_expression
from aira_cli.types import Request, Stats

_TITLE = 200  # characters of the first question

_LISTED = """
    SELECT number, name, title, profile, language, created, updated,
           (SELECT count(*) FROM turns WHERE conversation = number)
    FROM conversations"""

# Both have the words' :query and give places (see schema.py) and texts.
_BY_INDEX = "SELECT rowid AS place, text FROM words WHERE words MATCH :query"
_BY_READING = "SELECT place, text FROM texts WHERE wanted(text)"


class History:
    """An open history; a context manager that closes it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """The history at `path`; its folder and file are made if need be."""
        return cls(path, connect(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    # writing

    def start(self, question: str, profile: str, language: str, now: datetime) -> int:
        """A new conversation, titled by its first question; its number."""
        title = " ".join(_storable(question).split())[:_TITLE]
        with self._writing() as connection:
            cursor = connection.execute(
                "INSERT INTO conversations (title, profile, language, created, updated)"
                " VALUES (?, ?, ?, ?, ?)",
                (title, profile, language, _time(now), _time(now)),
            )
        return int(cursor.lastrowid or 0)

    def begin_turn(
        self, conversation: int, parent: AnswerKey | None, request: Request, profile: str,
        now: datetime,
    ) -> int:  # fmt: skip
        """The question at the end of `request`, asked after `parent`; the turn's id."""
        first, last = request.messages[0], request.messages[-1]
        settings = {**asdict(request.sampling), "seed": request.seed, "raw": request.raw}
        with self._writing() as connection:
            cursor = connection.execute(
                "INSERT INTO turns (conversation, parent_turn, parent_row, question, system,"
                " profile, settings, asked) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (conversation, *(parent or (None, None)), _storable(last.text),
                 _storable(first.text) if first.role == "system" else None,
                 profile, json.dumps(settings), _time(now)),
            )  # fmt: skip
            connection.execute(
                "UPDATE conversations SET updated = ?, profile = ? WHERE number = ?",
                (_time(now), profile, conversation),
            )
        return int(cursor.lastrowid or 0)

    def finish_turn(
        self, turn: int, answers: Sequence[SavedAnswer], stats: Stats | None, now: datetime
    ) -> None:
        """The answers of a turn that was begun; a picked one is where the conversation goes on.

        May be called again for more rows or longer texts: a row that is there already grows,
        and whether it is picked stays.
        """
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO answers (turn, row, seed, text, tokens, finish_reason, picked,"
                " token_ids) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (turn, row) DO UPDATE SET text = excluded.text,"
                " tokens = excluded.tokens, finish_reason = excluded.finish_reason,"
                " token_ids = excluded.token_ids",
                [(turn, *_answer_fields(answer)) for answer in answers],
            )
            connection.execute(
                "UPDATE turns SET stats = coalesce(?, stats) WHERE id = ?",
                (json.dumps(asdict(stats)) if stats else None, turn),
            )
            connection.execute(
                "UPDATE conversations SET updated = ?"
                " WHERE number = (SELECT conversation FROM turns WHERE id = ?)",
                (_time(now), turn),
            )
            for answer in answers:
                if answer.picked and answer.text.strip():
                    self._stand(AnswerKey(turn, answer.row))

    def pick(self, answer: AnswerKey) -> None:
        """Makes `answer` its turn's picked one, and the place where the conversation goes on."""
        with self._writing() as connection:
            connection.execute("UPDATE answers SET picked = 0 WHERE turn = ?", (answer.turn,))
            picked = "UPDATE answers SET picked = 1 WHERE turn = ? AND row = ?"
            if not connection.execute(picked, answer).rowcount:
                raise HistoryError("history_gone", path=self.path)
            self._stand(answer)

    def go_to(self, conversation: int, place: AnswerKey | None) -> None:
        """Where the next question of `conversation` belongs; None is its start."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE conversations SET place_turn = ?, place_row = ? WHERE number = ?",
                (*(place or (None, None)), conversation),
            )

    def rename(self, conversation: int, name: str) -> None:
        """Gives `conversation` a name. UsageError for one that is taken or looks like a number."""
        name = " ".join(_storable(name).split())
        if not name or name.isdecimal():
            raise UsageError("session_name_invalid", name=name)
        if self.named(name) not in (None, conversation):
            raise UsageError("session_name_taken", name=name)
        with self._writing() as connection:
            named = "UPDATE conversations SET name = ? WHERE number = ?"
            if not connection.execute(named, (name, conversation)).rowcount:
                raise HistoryError("history_no_conversation", number=conversation)

    def remove(self, *conversations: int) -> None:
        """All of `conversations` or, if one does not exist, none. Their texts leave the disk."""
        with self._writing() as connection:
            for number in conversations:
                removed = "DELETE FROM conversations WHERE number = ?"
                if not connection.execute(removed, (number,)).rowcount:
                    raise HistoryError("history_no_conversation", number=number)
            if has_index(connection):  # it keeps removed words until its parts are merged
                connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        with history_errors(self.path):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # reading

    def conversations(
        self, limit: int | None = None, words: Sequence[str] = ()
    ) -> tuple[Listed, ...]:
        """The newest first; with `words`, those whose name or one text has all of them."""
        condition, fields = "", {"limit": _limit(limit)}
        with self._reading() as connection:
            if words:
                matches, query = self._matches(words)
                fields |= query
                condition = f"""WHERE wanted(name) OR number IN (
                    SELECT conversation FROM turns JOIN ({matches}) ON id = place >> 16)"""
            rows = connection.execute(
                f"{_LISTED} {condition} ORDER BY updated DESC, number DESC LIMIT :limit", fields
            ).fetchall()
            return tuple(map(_listed, rows))

    def conversation(self, number: int) -> SavedConversation:
        """The whole tree of one conversation. HistoryError if there is none of that number."""
        with self._reading() as connection:
            row = connection.execute(f"{_LISTED} WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise HistoryError("history_no_conversation", number=number)
            place = connection.execute(
                "SELECT place_turn, place_row FROM conversations WHERE number = ?", (number,)
            ).fetchone()
            return SavedConversation(_listed(row), _key(*place), self._turns(number))

    def latest(self) -> int | None:
        """The number of the conversation that was last written to."""
        return self._number("ORDER BY updated DESC, number DESC LIMIT 1")

    def named(self, name: str) -> int | None:
        """The number of the conversation of that name."""
        return self._number("WHERE name = ?", _storable(name))

    def search(self, words: Sequence[str], limit: int | None = None) -> tuple[Found, ...]:
        """The texts that have all `words`, the newest first."""
        with self._reading() as connection:
            matches, query = self._matches(words)
            rows = connection.execute(
                f"""SELECT conversation, title, place, asked, text, (
                        SELECT count(*) FROM turns AS earlier
                        WHERE earlier.conversation = turns.conversation AND earlier.id <= turns.id)
                    FROM ({matches}) JOIN turns ON id = place >> 16
                    JOIN conversations ON number = conversation
                    ORDER BY place DESC LIMIT :limit""",
                {**query, "limit": _limit(limit)},
            ).fetchall()
            return tuple(map(_found, rows))

    def _turns(self, conversation: int) -> tuple[SavedTurn, ...]:
        answers: dict[int, list[SavedAnswer]] = {}
        for turn, *fields in self._connection.execute(
            "SELECT turn, row, seed, text, tokens, finish_reason, picked, token_ids FROM answers"
            " WHERE turn IN (SELECT id FROM turns WHERE conversation = ?) ORDER BY turn, row",
            (conversation,),
        ):
            answers.setdefault(turn, []).append(_answer(*fields))
        rows = self._connection.execute(
            "SELECT id, parent_turn, parent_row, question, system, profile, settings, asked, stats"
            " FROM turns WHERE conversation = ? ORDER BY id",
            (conversation,),
        ).fetchall()
        return tuple(_turn(n, row, answers.get(row[0], [])) for n, row in enumerate(rows, 1))

    def _matches(self, words: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """A query of the places that have `words`, with its fields; SQL's wanted(text), too."""
        words = [_storable(word) for word in words]
        wanted = partial(_wanted, words=words)
        self._connection.create_function("wanted", 1, wanted)
        if has_index(self._connection) and knows_fts5(self._connection):
            return _BY_INDEX, {"query": match_expression(words)}
        return _BY_READING, {}

    def _stand(self, place: AnswerKey) -> None:
        self._connection.execute(
            "UPDATE conversations SET place_turn = ?, place_row = ?"
            " WHERE number = (SELECT conversation FROM turns WHERE id = ?)",
            (*place, place.turn),
        )

    def _number(self, which: str, *fields: str) -> int | None:
        with self._reading() as connection:
            row = connection.execute(f"SELECT number FROM conversations {which}", fields).fetchone()
            return None if row is None else int(row[0])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with history_errors(self.path), transaction(self._connection, "IMMEDIATE"):
            yield self._connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with history_errors(self.path), transaction(self._connection, "DEFERRED"):
            yield self._connection


def _storable(text: str) -> str:
    """`text` with a replacement for lone surrogates, which no UTF-8 file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _time(moment: datetime) -> str:
    """In UTC and of one length, so that texts sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit  # SQLite's own word for none


def _key(turn: int | None, row: int | None) -> AnswerKey | None:
    return None if turn is None or row is None else AnswerKey(turn, row)


def _wanted(text: str | None, words: Sequence[str]) -> bool:
    return text is not None and has_words(text, words)


def _listed(row: Sequence[Any]) -> Listed:
    number, name, title, profile, language, created, updated, turns = row
    return Listed(
        number, name, title, profile, language,
        datetime.fromisoformat(created), datetime.fromisoformat(updated), turns,
    )  # fmt: skip


def _turn(number: int, row: Sequence[Any], answers: Sequence[SavedAnswer]) -> SavedTurn:
    turn, parent_turn, parent_row, question, system, profile, settings, asked, stats = row
    return SavedTurn(
        turn, number, _key(parent_turn, parent_row), question, system, profile,
        json.loads(settings), datetime.fromisoformat(asked),
        json.loads(stats) if stats else None, tuple(answers),
    )  # fmt: skip


def _found(row: Sequence[Any]) -> Found:
    conversation, title, place, asked, text, turn = row
    answer = (place & 0xFFFF) - 1
    moment = datetime.fromisoformat(asked)
    return Found(conversation, title, turn, None if answer < 0 else answer, moment, text)


def _answer(
    row: int, seed: str, text: str, tokens: int, finish_reason: str | None, picked: int,
    token_ids: str | None,
) -> SavedAnswer:  # fmt: skip
    ids = None if token_ids is None else tuple(json.loads(token_ids))
    return SavedAnswer(row, int(seed), text, tokens, finish_reason, bool(picked), ids)


def _answer_fields(answer: SavedAnswer) -> tuple[object, ...]:
    """In the order of the table, behind the turn."""
    return (
        answer.row, str(answer.seed), _storable(answer.text), answer.tokens, answer.finish_reason,
        int(answer.picked),
        None if answer.token_ids is None else json.dumps(answer.token_ids),
    )  # fmt: skip
