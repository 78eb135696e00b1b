"""What became of the jobs that have left the queue, and how long they took."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from .jobs import ENDED, Job
from .jobs_table import job_in
from .statements import Statements

# The jobs that are listed.
LISTED = 200


@dataclass(frozen=True)
class Past:
    """A job that is done, failed or cancelled.

    at: when it ended, in seconds since 1970; seconds: how long it took. Both None where that was
    not noted. clip: the id of the clip that it made, and path: that clip's file, if it is in the
    library.
    """

    job: Job
    at: float | None
    seconds: float | None
    clip: int | None
    path: Path | None


class HistoryTable(Statements):
    """The ends of jobs."""

    def note_end(self, job: int, seconds: float) -> None:
        """Note that a job has ended now, after so many seconds of work."""
        with self.change() as change:
            change.run("INSERT OR REPLACE INTO ends VALUES (?,?,?)", job, time.time(), seconds)

    def seconds_of(self, job: int) -> float | None:
        """How long a job took; None where that was not noted."""
        rows = self.read("SELECT seconds FROM ends WHERE job = ?", job)
        return rows[0]["seconds"] if rows else None

    def history(self) -> list[Past]:
        """The jobs that have left the queue, the latest first."""
        states = ",".join(f"'{state.value}'" for state in ENDED)
        rows = self.read(
            "SELECT jobs.*, ends.at, ends.seconds, clips.id AS clip, clips.path FROM jobs "
            "LEFT JOIN ends ON ends.job = jobs.id LEFT JOIN clips ON clips.job = jobs.id "
            f"WHERE jobs.state IN ({states}) ORDER BY ends.at DESC, jobs.id DESC LIMIT ?",
            LISTED,
        )
        return [_past(row) for row in rows]


def _past(row: sqlite3.Row) -> Past:
    path = Path(row["path"]) if row["path"] else None
    return Past(job_in(row), row["at"], row["seconds"], row["clip"], path)
