"""How many clips a queue has made by the time that it is done, and how many failed."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.runner import Runner


class Tally(QObject):
    """Counts from when the queue begins. done: clips made, and the jobs that failed.

    What was interrupted stays in the queue, and counts as neither. It is not done while it is
    paused with jobs that wait.
    """

    done = Signal(int, list)

    def __init__(self, database: Database, runner: Runner, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._runner = runner
        self._made = 0
        self._failed: list[Job] = []
        runner.saved.connect(self._count_saved)
        runner.ended.connect(self._count_ended)
        runner.changed.connect(self._look)

    def _count_saved(self) -> None:
        self._made += 1

    def _count_ended(self, job: Job) -> None:
        if job.state is State.FAILED:
            self._failed.append(job)

    def _look(self) -> None:
        if self._runner.current is not None or not (self._made or self._failed):
            return
        if any(job.state is State.WAITING for job in self._database.jobs()):
            return
        made = self._made
        failed = self._failed
        self._made = 0
        self._failed = []
        self.done.emit(made, failed)
