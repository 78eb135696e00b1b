"""Batches of copies in a process of their own: in turn, cancelled, and when the process dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from mlxvid.gui.core.commands import tool_command
from mlxvid.gui.core.copies import Copy, Source
from mlxvid.gui.core.export import Export
from mlxvid.gui.core.export_client import copy_request
from mlxvid.gui.core.recipes import Recipe
from tests.gui.clips import write_clip
from tests.gui.windows import runs

WAIT = 10_000


@pytest.fixture
def job(qapp):
    job = Export()
    yield job
    job.shutdown()


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=12, width=96, height=64)


def source(path) -> Source:
    return Source(path, 12, 8.0, 96, 64)


def outcome(qtbot, job, *copies, recipe=Recipe()):  # noqa: B008  a value that nobody changes
    """What becomes of a batch."""
    with qtbot.waitSignal(job.ended, timeout=WAIT) as ended:
        job.start([Copy(*copy) for copy in copies], recipe)
        assert job.running
    assert not job.running
    return ended.args[1]


def kill_at_a_frame(job, name):
    """A slot that kills the process while it writes a file."""

    def kill(progress):
        if progress.target.name == name and progress.done == 1:
            os.kill(job.client.pid, signal.SIGSTOP)  # so that it is in the middle for sure
            os.kill(job.client.pid, signal.SIGKILL)

    return kill


def test_many_clips_one_of_them_damaged(tmp_path, qtbot, job, clip):
    (tmp_path / "bad.mp4").write_text("no clip")
    copies = []
    for name, path in (("1", clip), ("2", tmp_path / "bad.mp4"), ("3", clip)):
        copies.append((source(path), tmp_path / f"{name}.gif"))
    left = []
    job.progressed.connect(lambda progress: left.append(progress.left))
    made = outcome(qtbot, job, *copies, recipe=Recipe("gif"))
    assert made.saved == [tmp_path / "1.gif", tmp_path / "3.gif"]
    (failure,) = made.failures
    assert "bad.mp4" in failure
    assert left == sorted(left, reverse=True)
    assert set(left) == {2, 1, 0}


def test_cancel_leaves_nothing_and_what_was_there(tmp_path, qtbot, job, clip):
    target = write_clip(tmp_path / "out.mp4", frames=2)
    before = target.read_bytes()
    names = sorted(os.listdir(tmp_path))
    for form in ("h264", "original", "webp"):
        with qtbot.waitSignal(job.ended, timeout=WAIT) as ended:
            job.start([Copy(source(clip), target)], Recipe(form))
            job.cancel()
        made = ended.args[1]
        assert made.cancelled
        assert not made.saved
        assert target.read_bytes() == before
        assert sorted(os.listdir(tmp_path)) == names
    assert outcome(qtbot, job, (source(clip), target)).saved == [target]


def test_batches_wait_for_each_other(tmp_path, qtbot, job, clip):
    ended = []
    job.ended.connect(lambda copies, outcome: ended.append(outcome))
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        job.start([Copy(source(clip), tmp_path / name)], Recipe())
    assert job.targets == {tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")}
    qtbot.waitUntil(lambda: not job.running, timeout=WAIT)
    assert [made.saved for made in ended] == [
        [tmp_path / "a.mp4"],
        [tmp_path / "b.mp4"],
        [tmp_path / "c.mp4"],
    ]
    job.start([Copy(source(clip), tmp_path / "d.mp4")], Recipe())
    job.start([Copy(source(clip), tmp_path / "e.mp4")], Recipe())
    job.cancel()
    qtbot.waitUntil(lambda: not job.running, timeout=WAIT)
    assert [made.cancelled for made in ended[3:]] == [True, True]
    assert not (tmp_path / "e.mp4").exists()


def test_what_ends_the_process_ends_one_copy(tmp_path, qtbot, job, clip):
    """And a part of it that was written is no longer there."""
    job.progressed.connect(kill_at_a_frame(job, "1.mp4"))
    copies = [(source(clip), tmp_path / f"{name}.mp4") for name in (1, 2)]
    made = outcome(qtbot, job, *copies)
    (failure,) = made.failures
    assert "1.mp4" in failure and "signal 9" in failure and "once more" in failure
    assert made.saved == [tmp_path / "2.mp4"]
    assert sorted(os.listdir(tmp_path)) == ["2.mp4", "clip.mp4"]


def test_one_that_does_not_stop_is_killed(tmp_path, qtbot, job, clip):
    def hold(progress):
        if progress.done == 1:
            os.kill(job.client.pid, signal.SIGSTOP)
            job.cancel()

    job.progressed.connect(hold)
    made = outcome(qtbot, job, (source(clip), tmp_path / "out.mp4"))
    assert made.cancelled and not made.failures
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_the_end_of_the_window_ends_the_process(tmp_path, qtbot, job, clip):
    job.start([Copy(source(clip), tmp_path / "out.mp4")], Recipe("webp"))
    qtbot.waitUntil(lambda: job.client.pid > 0)
    process = job.client._process
    with qtbot.assertNotEmitted(job.ended):
        job.shutdown()
    assert process.state() == process.ProcessState.NotRunning
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_one_that_can_not_be_started(tmp_path, qtbot, job, clip, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    made = outcome(qtbot, job, (source(clip), tmp_path / "out.mp4"))
    assert "install" in made.failures[0]


def test_no_process_is_left_when_all_is_done(tmp_path, qtbot, job, clip):
    numbers = set()
    job.progressed.connect(lambda progress: numbers.add(job.client.pid))
    outcome(qtbot, job, *((source(clip), tmp_path / f"{name}.mp4") for name in range(3)))
    (number,) = numbers  # one for all
    qtbot.waitUntil(lambda: not runs(number))


def test_a_window_that_dies_takes_its_export_along(tmp_path, clip):
    command = tool_command("mlxvid.gui.core.export_process")
    request = copy_request(Copy(source(clip), tmp_path / "out.mp4"), Recipe())
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["event"] == "exporting"
        process.stdin.close()
        process.wait(timeout=20)
    assert process.returncode == 0
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
