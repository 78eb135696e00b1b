"""What the library's tables share: transactions, queries, and signals of what has changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from .database_file import FILE_NAME, data_folder, open_library

# The id of a row that could not be written.
NOTHING = -1


class Statements(QObject):
    """One connection, used by the GUI thread alone.

    notice: a sentence for the user where the file could not be opened as it was, else None.
    clips_changed: the ids of the clips that are new, gone or different. message: what goes wrong
    later. Nothing here raises for a damaged or unwritable file: the app
    goes on without what it can't keep, and says so.
    """

    clips_changed = Signal(list)
    jobs_changed = Signal()
    message = Signal(str)

    def __init__(self, path: Path | None = None, parent: QObject | None = None):
        """Open or create the file; `path` is for tests.

        A damaged file is set aside as ``*.broken-<date>`` and a new one begun.
        """
        super().__init__(parent)
        self.path = path or data_folder() / FILE_NAME
        self._connection, self.notice = open_library(self.path)
        self._changes = self._connection.total_changes

    @property
    def is_unkept(self) -> bool:
        """Whether changes will be lost at the end, since the library is in memory."""
        place = self._connection.execute("PRAGMA database_list").fetchone()
        return not place["file"] and self._connection.total_changes > self._changes

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def change(self, changed: Callable[[], None] | None = None) -> Iterator[Change]:
        """A transaction, and `changed` after it; an error of the file is a message, not raised."""
        change = Change(self._connection)
        try:
            with self._connection:
                yield change
        except sqlite3.Error as error:
            change.new_id = NOTHING
            change.written = False
            self.message.emit(
                f"The library can't be written ({error}): make room on the disk of {self.path}."
            )
        else:
            if changed is not None:
                changed()

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """The rows of a query; none, and a message, where the file can't be read."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self.message.emit(f"The library can't be read ({error}): quit, and check {self.path}.")
            return []


class Change:
    """`new_id`: of the row inserted last, NOTHING where there is none. `written`: whether all of
    it could be.
    """

    written = True

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection
        self.new_id = NOTHING

    def run(self, sql: str, *values: Any) -> None:
        self.new_id = self._connection.execute(sql, values).lastrowid or NOTHING


def parsed(text: str) -> dict[str, Any]:
    """Settings as they are kept in a row; empty where they are damaged."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
