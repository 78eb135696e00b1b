"""Qt's model of the queue: the jobs that have not ended, and the progress of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from mlxvid.gui.core.fetching import Fetching
from mlxvid.gui.core.jobs import ENDED, Job, State

from .pictures import Pictures
from .roles import BUTTONS, JOB, LINE, PICTURE, PROGRESS
from .row_buttons import RowButton
from .words import NAMES, state_line

_MIME = "application/x-mlxvid-jobs"
_PAUSE = RowButton("pause", "pause", "Pause")
_RESUME = RowButton("resume", "play", "Resume")
_CANCEL = RowButton("cancel", "close", "Cancel")
_REMOVE = RowButton("remove", "close", "Remove from the queue")
_BUTTONS = {
    State.WAITING: (_PAUSE, _REMOVE),
    State.RUNNING: (_PAUSE, _CANCEL),
    State.INTERRUPTED: (_RESUME, _REMOVE),
}


class QueueModel(QAbstractListModel):
    """Jobs as rows. dropped: the ids of jobs that were dragged, and the row before which."""

    dropped = Signal(list, int)

    def __init__(
        self,
        database: Database,
        pictures: Pictures,
        fetching: Fetching | None = None,
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._database = database
        self._pictures = pictures
        self._fetching = fetching
        if fetching is not None:
            fetching.changed.connect(self._redraw)
        self._jobs: list[Job] = []
        self._progress: tuple[int, dict[str, Any]] = (-1, {})
        database.jobs_changed.connect(self.reload)
        pictures.ready.connect(self._show_picture)
        self.reload()

    def reload(self) -> None:
        """Read the database again; selections stay where the jobs and their order are the same."""
        jobs = [job for job in self._database.jobs() if job.state not in ENDED]
        if [job.id for job in jobs] == [job.id for job in self._jobs]:
            self._jobs = jobs
            self._redraw()
            return
        self.beginResetModel()
        self._jobs = jobs
        self.endResetModel()

    def _redraw(self) -> None:
        if self._jobs:
            self.dataChanged.emit(self.index(0), self.index(len(self._jobs) - 1))

    def set_progress(self, job: Job, event: dict[str, Any]) -> None:
        """The worker's latest `progress` event for a job."""
        self._progress = (job.number, event)
        row = self.row_of(job.number)
        if row >= 0:
            self.dataChanged.emit(self.index(row), self.index(row), [PROGRESS])

    def _show_picture(self, number: int) -> None:
        index = self.index(self.row_of(number))
        if index.isValid():
            self.dataChanged.emit(index, index, [PICTURE])

    def at(self, row: int) -> Job | None:
        return self._jobs[row] if 0 <= row < len(self._jobs) else None

    def row_of(self, number: int) -> int:
        """-1 where there is none."""
        return next((row for row, job in enumerate(self._jobs) if job.id == number), -1)

    @property
    def jobs(self) -> list[Job]:
        return list(self._jobs)

    # --- Qt's interface ---------------------------------------------------------------------------

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
            Qt.ItemDataRole.ToolTipRole: lambda: _tooltip(job),
            Qt.ItemDataRole.AccessibleTextRole: lambda: _spoken(job),
            JOB: lambda: job,
            PROGRESS: lambda: self._progress_of(job),
            LINE: lambda: self._download_of(job)[0] or state_line(job, self._progress_of(job)),
            PICTURE: lambda: self._pictures.of(job),
            BUTTONS: lambda: self._buttons_of(job),
        }
        return answers[role]() if role in answers else None

    def _progress_of(self, job: Job) -> dict[str, Any]:
        if job.state is State.WAITING:
            return self._download_of(job)[1]
        number, event = self._progress
        return event if number == job.id and job.state is State.RUNNING else {}

    def _download_of(self, job: Job) -> tuple[str, dict[str, Any]]:
        return ("", {}) if self._fetching is None else self._fetching.state_of(job)

    def _buttons_of(self, job: Job) -> tuple[RowButton, ...]:
        return _BUTTONS[State.INTERRUPTED if self.rests(job) else job.state]

    def rests(self, job: Job) -> bool:
        """Whether a job waits for a model whose download has failed or was paused."""
        return self._fetching is not None and self._fetching.rests(job)

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

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
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
        """Emit `dropped` and move nothing: a command that can be undone changes the database."""
        if not data.hasFormat(_MIME):
            return False
        ids = [int(number) for number in bytes(data.data(_MIME).data()).decode().split(",")]
        self.dropped.emit(ids, row if row >= 0 else len(self._jobs))
        return False


def _tooltip(job: Job) -> str:
    return "\n".join(text for text in (job.title, job.facts, job.message) if text)


def _spoken(job: Job) -> str:
    """A job for screen readers."""
    return f"{job.title}, {NAMES[job.state].lower()}. {job.message}"
