"""What is said of jobs: how far they are, and what became of them."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import QDateTime, QLocale

from mlxvid.gui.core.history_table import Past
from mlxvid.gui.core.jobs import PAUSED, Job, State
from mlxvid.gui.core.progress_text import duration, progress_text
from mlxvid.gui.widgets.elided import DOT

# The names of states, by which screen readers too are told.
NAMES = {
    State.WAITING: "Waiting",
    State.RUNNING: "Running",
    State.DONE: "Done",
    State.INTERRUPTED: "Interrupted",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
}


def progress_line(event: dict[str, Any]) -> str:
    """A job's progress, the time to go first: the rest is what a narrow row leaves out."""
    return DOT.join(reversed(progress_text(event).split(DOT)))


def state_line(job: Job, event: dict[str, Any]) -> str:
    """How far a job of the queue is. event: its latest `progress` event."""
    if job.state is State.RUNNING:
        return progress_line(event)
    if job.message == PAUSED:
        return "Paused"
    if job.state is State.INTERRUPTED and job.message:
        return f"{NAMES[job.state]}: {job.message}"
    return NAMES[job.state]


def past_line(past: Past) -> str:
    """What became of a job, how long it took, and when it ended."""
    job = past.job
    if job.state is State.FAILED:
        return f"{NAMES[job.state]}: {job.message}" if job.message else NAMES[job.state]
    parts = [NAMES[job.state]]
    if job.state is State.DONE and past.seconds is not None:
        parts = [f"Made in {duration(past.seconds)}"]
    if past.at is not None:
        parts.append(moment(past.at))
    return DOT.join(parts)


def moment(at: float) -> str:
    """A time, in seconds since 1970: of today as the hour, of other days as the date."""
    when = QDateTime.fromSecsSinceEpoch(int(at))
    short = QLocale.FormatType.ShortFormat
    if time.localtime(at)[:3] == time.localtime()[:3]:
        return QLocale().toString(when.time(), short)
    return QLocale().toString(when.date(), short)
