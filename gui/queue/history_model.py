"""Qt's model of the history: jobs that have left the queue, the latest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.history_table import Past
from mlxvid.gui.core.jobs import State

from .pictures import Pictures
from .roles import BUTTONS, JOB, LINE, PAST, PICTURE, PROGRESS
from .row_buttons import RowButton
from .words import past_line

AGAIN = RowButton("again", "add", "Make Again")
RESUME = RowButton("resume", "resume", "Resume")


class HistoryModel(QAbstractListModel):
    """Ended jobs as rows."""

    def __init__(self, database: Database, pictures: Pictures, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._pictures = pictures
        self._rows: list[Past] = []
        database.jobs_changed.connect(self.reload)
        database.clips_changed.connect(self.reload)
        pictures.ready.connect(self._show_picture)
        self.reload()

    def reload(self) -> None:
        """Read the database again, if there is anything new in it."""
        rows = self._database.history()
        if rows != self._rows:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()

    def at(self, row: int) -> Past | None:
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def row_of(self, number: int) -> int:
        """-1 where there is none."""
        return next((row for row, past in enumerate(self._rows) if past.job.id == number), -1)

    def _show_picture(self, number: int) -> None:
        index = self.index(self.row_of(number))
        if index.isValid():
            self.dataChanged.emit(index, index, [PICTURE])

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        past = self.at(index.row())
        if past is None:
            return None
        answers: dict[int, Callable[[], Any]] = {
            Qt.ItemDataRole.DisplayRole: lambda: past.job.title,
            Qt.ItemDataRole.ToolTipRole: lambda: _tooltip(past),
            Qt.ItemDataRole.AccessibleTextRole: lambda: f"{past.job.title}. {past_line(past)}",
            JOB: lambda: past.job,
            PAST: lambda: past,
            PROGRESS: dict,
            LINE: lambda: past_line(past),
            PICTURE: lambda: self._pictures.of(past.job, past.path),
            BUTTONS: lambda: (AGAIN,) if past.job.state is State.DONE else (RESUME, AGAIN),
        }
        return answers[role]() if role in answers else None


def _tooltip(past: Past) -> str:
    return "\n".join((past.job.title, past.job.facts, past_line(past)))
