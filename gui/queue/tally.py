"""How many clips a queue has made by the time that it is done, and how many failed."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.runner import Runner


class Tally(QObject):
    """Counts from when a queue begins until it is done, whether it rests in between.

    made: clips. failed: jobs, which have left the queue. interrupted: jobs that stay in it. done:
    clips made, and the jobs that failed; not while it is paused with jobs that wait.
    """

    done = Signal(int, list)

    def __init__(self, database: Database, runner: Runner, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._runner = runner
        self._told = False  # that it is done
        self._begin()
        runner.started.connect(self._begin_anew)
        runner.saved.connect(self._count_saved)
        runner.ended.connect(self._count_ended)
        runner.changed.connect(self._look)

    def _begin(self) -> None:
        self.made = 0
        self.failed: list[Job] = []
        self.interrupted = 0

    def _begin_anew(self) -> None:
        """Count from nothing, if the last queue is done."""
        if self._told:
            self._told = False
            self._begin()

    def _count_saved(self) -> None:
        self._begin_anew()
        self.made += 1

    def _count_ended(self, job: Job) -> None:
        self._begin_anew()
        if job.state is State.FAILED:
            self.failed.append(job)
        elif job.state is State.INTERRUPTED:
            self.interrupted += 1

    def _look(self) -> None:
        if self._told or self._runner.current is not None or not (self.made or self.failed):
            return
        if not any(job.state is State.WAITING for job in self._database.jobs()):
            self._told = True
            self.done.emit(self.made, self.failed)
