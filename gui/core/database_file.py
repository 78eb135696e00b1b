"""The library's file: its place, its tables, opening it, and setting a damaged one aside."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import platformdirs

FILE_NAME = "library.sqlite"
# Seconds to wait for another program that is at the file: the window stands still meanwhile.
PATIENCE = 0.5
# The layout of the tables. A library of a later version of mlxvid has a higher number.
VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    position REAL NOT NULL,
    state TEXT NOT NULL,
    settings TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    resume INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS ends (
    job INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS clips (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL,
    created REAL NOT NULL,
    prompt TEXT NOT NULL,
    model TEXT NOT NULL,
    settings TEXT NOT NULL,
    fps REAL NOT NULL,
    frames INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    favourite INTEGER NOT NULL DEFAULT 0,
    job INTEGER
);
CREATE TABLE IF NOT EXISTS exports (
    path TEXT PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS timings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    passes REAL NOT NULL,
    seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS prompts (
    text TEXT NOT NULL,
    negative INTEGER NOT NULL,
    used REAL NOT NULL,
    PRIMARY KEY (text, negative)
);
"""


FOUND = "The clips in the clips folder come into the gallery by themselves."


class _Newer(Exception):
    """The library is of a later version."""


def data_folder() -> Path:
    """Where the app keeps its data: the folder MLXVID_DATA, or the user's data folder."""
    given = os.environ.get("MLXVID_DATA")
    return Path(given or platformdirs.user_data_dir("mlxvid", appauthor=False))


def open_library(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """A connection to the library, created if missing, and a notice for the user, if any.

    A damaged file is set aside as ``*.broken-<date>`` and a new one begun; that of a later mlxvid
    stays as it is, and this one has its own beside it. Where the disk allows no file to be
    written, the library is in memory until the app ends, with what can be read of the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _connect(path), None
    except (OSError, sqlite3.OperationalError) as error:
        # A full disk or a write-protected folder: nothing is wrong with the file.
        return _in_memory(path, error)
    except _Newer:
        own = path.with_name(f"{path.stem}-{VERSION}{path.suffix}")
        connection, notice = open_library(own)
        return connection, notice or (
            f"A later mlxvid made {path.name}, which this one can't read: it uses {own.name}. "
            f"{FOUND}"
        )
    except sqlite3.DatabaseError as error:
        return _begun_anew(path, error)


def _begun_anew(path: Path, error: sqlite3.DatabaseError) -> tuple[sqlite3.Connection, str]:
    try:
        aside = _set_aside(path)
        connection = _connect(path)
    except (OSError, sqlite3.Error) as second:
        return _in_memory(path, second)
    return connection, (
        f"The library was damaged ({error}): it was renamed to {aside.name}, and a new one begins. "
        f"{FOUND}"
    )


def _in_memory(path: Path, error: Exception) -> tuple[sqlite3.Connection, str]:
    why = error.strerror if isinstance(error, OSError) else error
    try:
        connection = _connect(":memory:", path)
    except (sqlite3.Error, _Newer):
        connection = _connect(":memory:")
    return connection, (
        f"{path} can't be opened ({why}), so nothing is kept when you quit: check the disk and "
        "the folder's permissions."
    )


def _connect(path: Path | str, content: Path | None = None) -> sqlite3.Connection:
    """Open a library and make its tables; `content`: a file that it begins as a copy of."""
    connection = sqlite3.connect(path, timeout=PATIENCE)
    try:
        if content is not None:
            _copy(content, connection)
        connection.row_factory = sqlite3.Row
        # A write must not make the window wait for the disk; a power cut may cost the last change,
        # never the file.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise _Newer
        connection.executescript(_SCHEMA)
        if version < VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except (sqlite3.Error, _Newer):
        connection.close()
        raise
    return connection


def _copy(path: Path, connection: sqlite3.Connection) -> None:
    """Copy a library that can't be written; without its log where that can't be read."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        _read_into(connection, address)
    except sqlite3.OperationalError:
        _read_into(connection, f"{address}&immutable=1")


def _read_into(connection: sqlite3.Connection, address: str) -> None:
    with closing(sqlite3.connect(address, timeout=PATIENCE, uri=True)) as source:
        source.backup(connection)


def _set_aside(path: Path) -> Path:
    """Rename a file and what SQLite keeps beside it; the new name has the date and time."""
    aside = path.with_name(f"{path.name}.broken-{time.strftime('%Y-%m-%d-%H%M%S')}")
    for ending in ("-wal", "-shm"):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            os.replace(beside, aside.with_name(aside.name + ending))
    os.replace(path, aside)
    return aside
