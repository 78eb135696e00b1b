"""Changes of the queue that can be undone. A job that runs or is done by then stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtGui import QUndoCommand

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import PAUSED, Job, State
from mlxvid.gui.core.runner import Runner


class AddJobs(QUndoCommand):
    """Put new jobs at the end of the queue."""

    def __init__(self, database: Database, jobs: Sequence[Job], text: str):
        super().__init__(text)
        self._database = database
        self._jobs = list(jobs)

    def redo(self) -> None:
        ids = self._database.insert_jobs(self._jobs)
        added = (self._database.job(number) for number in ids)
        self._jobs = [job for job in added if job is not None]

    @property
    def added(self) -> bool:
        """Whether there are any in the queue by this."""
        return bool(self._jobs)

    def undo(self) -> None:
        """Remove those that still wait; one that has begun can be cancelled."""
        now = (self._database.job(job.number) for job in self._jobs)
        self._jobs = [job for job in now if job is not None and job.state is State.WAITING]
        self._database.remove_jobs([job.number for job in self._jobs])


class RemoveJobs(QUndoCommand):
    """Remove jobs from the queue."""

    def __init__(self, database: Database, jobs: Sequence[Job]):
        super().__init__("Remove from Queue")
        self._database = database
        self._jobs = [job for job in jobs if job.state is not State.RUNNING]

    def redo(self) -> None:
        self._database.remove_jobs([job.number for job in self._jobs])

    def undo(self) -> None:
        self._database.insert_jobs(self._jobs)


class PlaceJobs(QUndoCommand):
    """Move jobs before the one at `row`, in their present order."""

    def __init__(
        self, database: Database, ids: Sequence[int], row: int, text: str = "Move in Queue"
    ):
        super().__init__(text)
        self._database = database
        jobs = database.jobs()
        moved = [job for job in jobs if job.id in ids]
        before = [job for job in jobs[:row] if job.id not in ids]
        after = [job for job in jobs[row:] if job.id not in ids]
        self._old = {job.number: job.position for job in jobs}
        order = [*before, *moved, *after]
        self._new = {job.number: float(place) for place, job in enumerate(order, 1)}

    def redo(self) -> None:
        self._database.place_jobs(self._new)

    def undo(self) -> None:
        self._database.place_jobs(self._old)


class ResumeJobs(QUndoCommand):
    """Let jobs that ended early wait again; undone, one that runs by then stops."""

    def __init__(self, database: Database, runner: Runner, jobs: Sequence[Job]):
        super().__init__("Resume Clip" if len(jobs) == 1 else "Resume Clips")
        self._database = database
        self._runner = runner
        self._jobs = list(jobs)

    def redo(self) -> None:
        for job in self._jobs:
            self._runner.resume(job.number)

    def undo(self) -> None:
        for old in self._jobs:
            now = self._database.job(old.number)
            if now is not None and now.state is State.WAITING:
                self._database.replace_job(replace(old, position=now.position))
            elif _runs(self._runner, old):
                self._runner.stop(old.state, old.message)


class PauseJobs(QUndoCommand):
    """Set jobs aside that wait or run; they go on when they are resumed."""

    def __init__(self, database: Database, runner: Runner, jobs: Sequence[Job]):
        super().__init__("Pause Clip" if len(jobs) == 1 else "Pause Clips")
        self._database = database
        self._runner = runner
        self._jobs = list(jobs)

    def redo(self) -> None:
        for job in self._jobs:
            if _runs(self._runner, job):
                self._runner.stop(State.INTERRUPTED, PAUSED)
                continue
            now = self._database.job(job.number)
            if now is not None and now.state is State.WAITING:
                aside = replace(now, state=State.INTERRUPTED, message=PAUSED)
                self._database.replace_job(aside)

    def undo(self) -> None:
        for job in self._jobs:
            _go_on(self._runner, job)


class CancelJob(QUndoCommand):
    """Cancel the job that runs; undone, it goes on from its checkpoint."""

    def __init__(self, database: Database, runner: Runner, job: Job):
        super().__init__("Cancel Clip")
        self._database = database
        self._runner = runner
        self._job = job

    def redo(self) -> None:
        now = self._database.job(self._job.number)
        if _runs(self._runner, self._job):
            self._runner.cancel()
        elif now is not None and now.state is State.WAITING:  # done again
            self._database.replace_job(replace(now, state=State.CANCELLED, message="Cancelled."))

    def undo(self) -> None:
        _go_on(self._runner, self._job)


def _runs(runner: Runner, job: Job) -> bool:
    return runner.current is not None and runner.current.id == job.id


def _go_on(runner: Runner, job: Job) -> None:
    """Take a stop back, whether or not it has come about."""
    if not _runs(runner, job):
        runner.resume(job.number)
    elif runner.cancelling:
        runner.stop(State.WAITING)


class EditJob(QUndoCommand):
    """Change a job's settings.

    One that had ended early waits again, from its beginning: its checkpoint belongs to the old
    settings.
    """

    def __init__(self, database: Database, job: Job, settings: dict[str, Any]):
        super().__init__("Edit Clip in Queue")
        self._database = database
        self._old = job
        self._new = replace(job, settings=settings, state=State.WAITING, message="", resume=False)

    def redo(self) -> None:
        self._put(self._old, self._new)

    def undo(self) -> None:
        self._put(self._new, self._old)

    def _put(self, present: Job, wanted: Job) -> None:
        now = self._database.job(present.number)
        if now is not None and now.state is present.state:
            self._database.replace_job(wanted)
