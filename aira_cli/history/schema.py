"""The tables of the history, as steps that are only ever added to, and the index of its words.

`PRAGMA user_version` counts the steps that a file has seen. The index is derived from the
tables, so it is no step: it is made wherever SQLite can and it is missing.
"""

from __future__ import annotations

import sqlite3

#: Append only: a step that was released is never changed (tests hold the first one's text).
#: A seed is text because one below 2⁶³ plus a row need not fit SQLite's integers.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE conversations (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT UNIQUE,
            title TEXT NOT NULL,
            profile TEXT NOT NULL,
            language TEXT NOT NULL,
            created TEXT NOT NULL,
            updated TEXT NOT NULL,
            place_turn INTEGER,
            place_row INTEGER
        )""",
        """CREATE TABLE turns (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
            parent_turn INTEGER CHECK (parent_turn < id),
            parent_row INTEGER,
            question TEXT NOT NULL,
            system TEXT,
            profile TEXT NOT NULL,
            settings TEXT NOT NULL,
            asked TEXT NOT NULL,
            stats TEXT,
            FOREIGN KEY (parent_turn, parent_row) REFERENCES answers (turn, row) ON DELETE CASCADE
        )""",
        """CREATE TABLE answers (
            turn INTEGER NOT NULL REFERENCES turns ON DELETE CASCADE,
            row INTEGER NOT NULL CHECK (row BETWEEN 0 AND 65534),
            seed TEXT NOT NULL,
            text TEXT NOT NULL,
            tokens INTEGER NOT NULL,
            finish_reason TEXT,
            picked INTEGER NOT NULL,
            token_ids TEXT,
            PRIMARY KEY (turn, row)
        )""",
        "CREATE INDEX turns_of_conversation ON turns (conversation, id)",
        "CREATE INDEX turns_of_parent ON turns (parent_turn, parent_row)",
        "CREATE UNIQUE INDEX one_picked ON answers (turn) WHERE picked",
        # A text's place is its turn and, in the low 16 bits, 0 for the question or row + 1.
        """CREATE VIEW texts (place, text) AS
            SELECT id << 16, question FROM turns
            UNION ALL SELECT (turn << 16) + row + 1, text FROM answers""",
    ),
)

_INDEX = (
    "CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'unicode61 remove_diacritics 2')",
    "INSERT INTO words (rowid, text) SELECT place, text FROM texts",
    """CREATE TRIGGER question_added AFTER INSERT ON turns BEGIN
        INSERT INTO words (rowid, text) VALUES (new.id << 16, new.question); END""",
    """CREATE TRIGGER question_removed AFTER DELETE ON turns BEGIN
        DELETE FROM words WHERE rowid = old.id << 16; END""",
    """CREATE TRIGGER answer_added AFTER INSERT ON answers BEGIN
        INSERT INTO words (rowid, text) VALUES ((new.turn << 16) + new.row + 1, new.text); END""",
    """CREATE TRIGGER answer_grown AFTER UPDATE OF text ON answers BEGIN
        UPDATE words SET text = new.text WHERE rowid = (new.turn << 16) + new.row + 1; END""",
    """CREATE TRIGGER answer_removed AFTER DELETE ON answers BEGIN
        DELETE FROM words WHERE rowid = (old.turn << 16) + old.row + 1; END""",
)


def version(connection: sqlite3.Connection) -> int:
    """How many steps the file has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def is_newer(connection: sqlite3.Connection) -> bool:
    """Whether a newer program has written the file: its tables are not ours to judge."""
    return version(connection) > len(MIGRATIONS)


def knows_fts5(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite was built with full-text search."""
    found = connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
    return found.fetchone() is not None


def has_index(connection: sqlite3.Connection) -> bool:
    """Whether this file's words are indexed."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'")
    return found.fetchone() is not None


def is_current(connection: sqlite3.Connection, *, indexed: bool) -> bool:
    """Whether nothing is left to do; `indexed` asks for the index, too."""
    return version(connection) == len(MIGRATIONS) and (has_index(connection) or not indexed)


def migrate(connection: sqlite3.Connection, *, indexed: bool) -> None:
    """The steps that the file lacks, and the index, within the caller's transaction."""
    for number, step in enumerate(MIGRATIONS[version(connection) :], version(connection) + 1):
        for statement in step:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    if indexed and not has_index(connection):
        for statement in _INDEX:
            connection.execute(statement)
