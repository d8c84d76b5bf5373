"""Opening the history's file: its rights, its version, its locks, and what SQLite complains of."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aira_cli.errors import HistoryError
from aira_cli.history.schema import is_current, is_newer, knows_fts5, migrate

#: How long a write waits for another program's; each of ours takes milliseconds.
BUSY_SECONDS = 10.0

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

# SQLite's primary result codes.
_KEYS = {
    sqlite3.SQLITE_BUSY: "history_busy",
    sqlite3.SQLITE_LOCKED: "history_busy",
    sqlite3.SQLITE_CORRUPT: "history_damaged",
    sqlite3.SQLITE_NOTADB: "history_damaged",
    sqlite3.SQLITE_FULL: "history_disk",
    sqlite3.SQLITE_IOERR: "history_disk",
    sqlite3.SQLITE_READONLY: "history_unwritable",
    sqlite3.SQLITE_CANTOPEN: "history_unwritable",
    sqlite3.SQLITE_PERM: "history_unwritable",
    sqlite3.SQLITE_CONSTRAINT: "history_gone",
}


def connect(path: Path) -> sqlite3.Connection:
    """The file at `path`, made if need be, with all steps of the schema.

    HistoryError if it cannot be made, read or written, is damaged, or is of a newer program:
    that one is not touched.
    """
    with history_errors(path):
        _make_private(path)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _prepare_in_turn(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, mode: str) -> Iterator[None]:
    """All of the block or nothing. `mode` is IMMEDIATE to write, DEFERRED to read."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some failures roll back on their own
            connection.execute("ROLLBACK")
        raise


@contextmanager
def history_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite, the disk or a damaged field complains of into a HistoryError."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise  # our own mistakes
    except sqlite3.DatabaseError as error:
        key = _KEYS.get(_code(error), "history_failed")
        raise HistoryError(key, path=path, reason=error) from error
    except OSError as error:
        key = "history_disk" if error.errno in _FULL else "history_unwritable"
        raise HistoryError(key, path=path, reason=error.strerror) from error
    except ValueError as error:  # a date, a number or JSON that we did not write
        raise HistoryError("history_damaged", path=path, reason=error) from error


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where Python's module itself complains."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _make_private(path: Path) -> None:
    """Makes the folder (0700) and the file (0600), never wider for a moment.

    SQLite gives the rights of the file to those that it puts beside it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Only a file that is not there yet: closing one that SQLite has open in this process, too,
    # would drop SQLite's locks on it (POSIX ties them to the process, not to the descriptor).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _narrow(path: Path) -> None:
    """Takes back rights that a copy or an old umask gave to others."""
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        with suppress(FileNotFoundError):  # another program's last close removes the log
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def _prepare_in_turn(connection: sqlite3.Connection, path: Path) -> None:
    """Waits where SQLite does not: two that make the log at once are told "busy" unasked."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            _prepare(connection, path)
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if is_newer(connection):
        raise HistoryError("history_newer", path=path)
    _narrow(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    indexed = knows_fts5(connection)
    if not is_current(connection, indexed=indexed):
        with transaction(connection, "IMMEDIATE"):  # another program may be first: look again
            migrate(connection, indexed=indexed)
