"""The queue as Qt's views see it: the database's jobs in their order, and how far the running one
is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job, State

JOB = Qt.ItemDataRole.UserRole
PROGRESS = Qt.ItemDataRole.UserRole + 1
_MIME = "application/x-mlxvid-jobs"

_WORDS = {
    State.WAITING: "waiting",
    State.RUNNING: "being made",
    State.INTERRUPTED: "interrupted",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}


class QueueModel(QAbstractListModel):
    """`dropped`: the ids of jobs that were dragged, and the row before which they were let go."""

    dropped = Signal(list, int)

    def __init__(self, database: Database, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._jobs: list[Job] = []
        self._progress: tuple[int, dict[str, Any]] = (-1, {})
        database.jobs_changed.connect(self.reload)
        self.reload()

    def reload(self) -> None:
        """Read the database again; where the same jobs stand in the same order, selections stay."""
        jobs = self._database.jobs()
        if [job.id for job in jobs] == [job.id for job in self._jobs]:
            self._jobs = jobs
            if jobs:
                self.dataChanged.emit(self.index(0), self.index(len(jobs) - 1))
            return
        self.beginResetModel()
        self._jobs = jobs
        self.endResetModel()

    def set_progress(self, job: Job, event: dict[str, Any]) -> None:
        """The worker's latest `progress` event for a job."""
        self._progress = (job.id, event)
        row = self.row_of(job.id)
        if row >= 0:
            self.dataChanged.emit(self.index(row), self.index(row), [PROGRESS])

    def at(self, row: int) -> Job | None:
        return self._jobs[row] if 0 <= row < len(self._jobs) else None

    def row_of(self, number: int) -> int:
        """-1 where there is none."""
        return next((row for row, job in enumerate(self._jobs) if job.id == number), -1)

    @property
    def jobs(self) -> list[Job]:
        return list(self._jobs)

    # --- what Qt asks -----------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._jobs)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        job = self.at(index.row())
        if job is None:
            return None
        answers: dict[int, Callable[[], Any]] = {
            Qt.ItemDataRole.DisplayRole: lambda: job.title,
            Qt.ItemDataRole.ToolTipRole: lambda: "\n".join(
                filter(None, (job.title, job.facts, job.message))
            ),
            Qt.ItemDataRole.AccessibleTextRole: lambda: (
                f"{job.title}, {_WORDS.get(job.state, '')}. {job.message}"
            ),
            JOB: lambda: job,
            PROGRESS: lambda: (
                self._progress[1]
                if self._progress[0] == job.id and job.state is State.RUNNING
                else {}
            ),
        }
        return answers[role]() if role in answers else None

    def flags(self, index: QModelIndex | QPersistentModelIndex) -> Qt.ItemFlag:
        job = self.at(index.row())
        if job is None:
            return Qt.ItemFlag.ItemIsDropEnabled  # between the rows
        drag = (
            Qt.ItemFlag.NoItemFlags if job.state is State.RUNNING else Qt.ItemFlag.ItemIsDragEnabled
        )
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | drag

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [_MIME]

    def mimeData(self, indexes: list[QModelIndex]) -> QMimeData:
        data = QMimeData()
        rows = sorted(index.row() for index in indexes)
        data.setData(_MIME, ",".join(str(self._jobs[row].id) for row in rows).encode())
        return data

    def dropMimeData(
        self,
        data: QMimeData,
        action: Qt.DropAction,
        row: int,
        column: int,
        parent: QModelIndex | QPersistentModelIndex,
    ) -> bool:
        """Tell of the drop and move nothing: what happens to the queue happens in the database,
        through an undoable command.
        """
        if not data.hasFormat(_MIME):
            return False
        ids = [int(number) for number in bytes(data.data(_MIME).data()).decode().split(",")]
        self.dropped.emit(ids, row if row >= 0 else len(self._jobs))
        return False
