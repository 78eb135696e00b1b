"""The line over the queue."""

from __future__ import annotations

import re

import pytest

from mlxvid.gui.core.jobs import State
from mlxvid.gui.queue.summary import QueueSummary
from tests.gui.queue.conftest import job


@pytest.fixture
def summary(database, make_runner, qtbot):
    """The line of a queue whose one job runs."""
    runner = make_runner()
    line = QueueSummary(database, runner)
    qtbot.addWidget(line)
    line.runner = runner
    return line


def words(summary) -> str:
    return summary.text().replace("\u00a0", " ")


def test_clips_their_time_and_the_hour_of_the_end(summary, database):
    database.add_timing("mini", 324, 40.0, 3600.0)
    database.insert_jobs([job("a"), job("b")])
    summary.show_jobs(database.jobs())
    assert re.match(r"2 clips · about 2 h · done \w*.*\d", words(summary))


def test_what_never_ran_here_is_a_guess(summary, database):
    database.insert_jobs([job("a")])
    summary.show_jobs(database.jobs())
    assert words(summary).startswith("1 clip · about ")
    assert ", a guess · done " in words(summary)


def test_a_paused_queue_has_no_hour(summary, database):
    summary.runner.pause(True)
    number = database.insert_jobs([job("a"), job("b")])[0]
    database.set_job_state(number, State.FAILED, "No.")
    summary.show_jobs(database.jobs())
    assert words(summary).startswith("Queue paused · 1 clip · about ")
    assert "done" not in words(summary)


def test_what_is_done_of_the_running_clip_no_longer_counts(summary, database):
    database.add_timing("mini", 324, 40.0, 3600.0)
    number = database.insert_jobs([job("a")])[0]
    running = summary.runner.current
    assert running is not None and running.id == number
    event = {"stage": "denoise", "step": 10, "total": 20, "remaining": None}
    summary.runner.progressed.emit(running, event)
    summary.show_jobs(database.jobs())
    assert "about 32 min" in words(summary)
