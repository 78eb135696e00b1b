"""What the library keeps of jobs that have left the queue, and of the groups of clips."""

from __future__ import annotations

from pathlib import Path

from mlxvid.gui.core.jobs import GROUP, Job, State, grouped
from tests.gui.windows import SETTINGS


def test_takes_share_a_group_that_the_clip_knows(database):
    jobs = grouped([Job({**SETTINGS, "seed": seed}) for seed in (1, 2)])
    ids = database.insert_jobs(jobs)
    name = jobs[0].settings[GROUP]
    assert name and jobs[1].settings[GROUP] == name
    number = database.add_clip("/clips/a.mp4", SETTINGS, 16.0, 9, 64, 64, job=ids[0])
    assert database.clip(number).group == name
    assert GROUP not in database.clip(number).settings
    assert grouped([Job(SETTINGS)]) == [Job(SETTINGS)]
    other = grouped([job for job in jobs])[0]
    assert other.settings[GROUP] != name


def test_clips_without_a_job_have_no_group(database):
    number = database.add_clip("/clips/b.mp4", SETTINGS, 16.0, 9, 64, 64)
    assert database.clip(number).group == ""
    assert [row.id for row in database.clips()] == [number]


def test_the_history_has_ends_times_and_clips(database):
    states = (State.WAITING, State.DONE, State.FAILED, State.CANCELLED, State.INTERRUPTED)
    ids = database.insert_jobs([Job({"prompt": state.value}) for state in states])
    database.add_clip("/clips/a.mp4", SETTINGS, 16.0, 9, 64, 64, job=ids[1])
    for number, state in zip(ids[2:], states[2:], strict=True):
        database.set_job_state(number, state, "So it is.")
    database.note_end(ids[1], 65.5)
    past = database.history()
    assert [one.job.title for one in past] == ["done", "cancelled", "failed"]
    assert past[0].seconds == 65.5 and past[0].at > 0
    assert past[0].path == Path("/clips/a.mp4") and past[0].clip is not None
    assert (past[1].seconds, past[1].at, past[1].clip, past[1].path) == (None,) * 4
