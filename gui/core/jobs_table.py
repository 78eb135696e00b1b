"""The library's queue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from .jobs import Job, State
from .statements import NOTHING, Statements, parsed


class JobsTable(Statements):
    """The jobs: what each makes, how far it is, and their order."""

    def jobs(self) -> list[Job]:
        """Every job that is not done, in the queue's order; those that failed or were cancelled
        have left the queue, and can be resumed.
        """
        sql = "SELECT * FROM jobs WHERE state != ? ORDER BY position, id"
        return [job_in(row) for row in self.read(sql, State.DONE.value)]

    def job(self, number: int) -> Job | None:
        """The job of that id, done or not; None where there is none."""
        rows = self.read("SELECT * FROM jobs WHERE id = ?", number)
        return job_in(rows[0]) if rows else None

    def insert_jobs(self, jobs: Iterable[Job]) -> list[int]:
        """Put jobs into the queue and return their ids.

        Jobs that were in it before return to their places; new ones go to its end.
        """
        ids: list[int] = []
        end = max((job.position for job in self.jobs()), default=0.0)
        with self.change(self.jobs_changed.emit) as change:
            for count, job in enumerate(jobs, 1):
                place = end + count if job.id is None else job.position
                values = (
                    job.id,
                    place,
                    job.state.value,
                    json.dumps(job.settings),
                    job.message,
                    int(job.resume),
                )
                change.run(
                    "INSERT INTO jobs (id, position, state, settings, message, resume) "
                    "VALUES (?,?,?,?,?,?)",
                    *values,
                )
                ids.append(change.new_id)
        return [] if change.new_id == NOTHING else ids

    def remove_jobs(self, ids: Iterable[int]) -> None:
        """Take jobs out of the queue; a running one stays."""
        with self.change(self.jobs_changed.emit) as change:
            for number in ids:
                change.run(
                    "DELETE FROM jobs WHERE id = ? AND state != ?", number, State.RUNNING.value
                )

    def place_jobs(self, positions: dict[int, float]) -> None:
        """Give jobs other places in the queue."""
        with self.change(self.jobs_changed.emit) as change:
            for number, position in positions.items():
                change.run("UPDATE jobs SET position = ? WHERE id = ?", position, number)

    def replace_job(self, job: Job) -> None:
        """Change what a job makes, and its state; one that runs stays as it is."""
        with self.change(self.jobs_changed.emit) as change:
            change.run(
                "UPDATE jobs SET settings = ?, state = ?, message = ?, resume = ? "
                "WHERE id = ? AND state != ?",
                json.dumps(job.settings),
                job.state.value,
                job.message,
                int(job.resume),
                job.number,
                State.RUNNING.value,
            )

    def set_job_state(
        self, number: int, state: State, message: str = "", resume: bool = False
    ) -> bool:
        """Record how far a job is; whether that could be written."""
        with self.change(self.jobs_changed.emit) as change:
            change.run(
                "UPDATE jobs SET state = ?, message = ?, resume = ? WHERE id = ?",
                state.value,
                message,
                int(resume),
                number,
            )
        return change.written

    def interrupt_running(self, message: str) -> list[int]:
        """Mark the jobs that ran when the app last ended as interrupted, and return their ids."""
        rows = self.read("SELECT id FROM jobs WHERE state = ?", State.RUNNING.value)
        ids = [row["id"] for row in rows]
        for number in ids:
            self.set_job_state(number, State.INTERRUPTED, message)
        return ids


def job_in(row: sqlite3.Row) -> Job:
    """The job that a row of the table is."""
    return Job(
        parsed(row["settings"]),
        row["id"],
        State(row["state"]),
        row["position"],
        row["message"],
        bool(row["resume"]),
    )
