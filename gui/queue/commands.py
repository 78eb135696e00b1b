"""What one does to the queue, each as a command that can be undone. A job that runs or is done by
then is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtGui import QUndoCommand

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job, State


class AddJobs(QUndoCommand):
    """Put new jobs at the queue's end."""

    def __init__(self, database: Database, jobs: Sequence[Job], text: str):
        super().__init__(text)
        self._database, self._jobs = database, list(jobs)

    def redo(self) -> None:
        ids = self._database.insert_jobs(self._jobs)
        added = (self._database.job(number) for number in ids)
        self._jobs = [job for job in added if job is not None]

    def undo(self) -> None:
        """Take out those that still wait: what has begun is there to be cancelled, not to vanish."""
        waiting = [
            job
            for job in map(self._database.job, [job.id for job in self._jobs])
            if job and job.state is State.WAITING
        ]
        self._jobs = waiting
        self._database.remove_jobs([job.id for job in waiting])


class RemoveJobs(QUndoCommand):
    """Take jobs out of the queue."""

    def __init__(self, database: Database, jobs: Sequence[Job]):
        super().__init__("Remove from Queue")
        self._database, self._jobs = (
            database,
            [job for job in jobs if job.state is not State.RUNNING],
        )

    def redo(self) -> None:
        self._database.remove_jobs([job.id for job in self._jobs])

    def undo(self) -> None:
        self._database.insert_jobs(self._jobs)


class PlaceJobs(QUndoCommand):
    """Put jobs elsewhere in the queue: before the one at `row`, in the order in which they stand."""

    def __init__(
        self, database: Database, ids: Sequence[int], row: int, text: str = "Move in Queue"
    ):
        super().__init__(text)
        self._database = database
        jobs = database.jobs()
        moved = [job for job in jobs if job.id in ids]
        before = [job for job in jobs[:row] if job.id not in ids]
        after = [job for job in jobs[row:] if job.id not in ids]
        self._old = {job.id: job.position for job in jobs}
        self._new = {job.id: float(place) for place, job in enumerate([*before, *moved, *after], 1)}

    def redo(self) -> None:
        self._database.place_jobs(self._new)

    def undo(self) -> None:
        self._database.place_jobs(self._old)


class EditJob(QUndoCommand):
    """Change what a job makes. One that had ended early waits again: its checkpoint belonged to the
    old settings.
    """

    def __init__(self, database: Database, job: Job, settings: dict[str, Any]):
        super().__init__("Edit Clip in Queue")
        self._database, self._old = database, job
        self._new = replace(job, settings=settings, state=State.WAITING, message="", resume=False)

    def redo(self) -> None:
        self._put(self._old, self._new)

    def undo(self) -> None:
        self._put(self._new, self._old)

    def _put(self, there: Job, wanted: Job) -> None:
        now = self._database.job(there.id)
        if now is not None and now.state is there.state:
            self._database.remove_jobs([now.id])
            self._database.insert_jobs([replace(wanted, position=now.position)])
