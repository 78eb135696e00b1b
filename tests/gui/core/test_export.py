"""Exports keep pixels, rate, settings and the trim; what goes wrong or is cancelled leaves nothing
behind.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from mlxvid.gui.core.export import Export
from mlxvid.media.clip import Clip
from tests.gui.clips import number_of, write_clip, write_foreign

WAIT = 10_000


@pytest.fixture
def job(qapp):
    return Export()


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=12)


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.webm", "out.mov", "out"])
def test_trim_and_export_round_trip(tmp_path, qtbot, job, clip, name):
    counted = []
    job.progressed.connect(lambda done, count: counted.append((done, count)))
    with qtbot.waitSignal(job.saved, timeout=WAIT) as saved:
        job.start(clip, tmp_path / name, 3, 8)
        assert job.running
    assert saved.args[0] == tmp_path / name and not job.running
    assert counted == [(done, 6) for done in range(1, 7)]
    out = Clip.load(tmp_path / name)
    whole = Clip.load(clip)
    assert out.settings == whole.settings and out.fps == 8
    assert [number_of(frame) for frame in out.frames] == [3, 4, 5, 6, 7, 8]
    if name == "out":
        assert np.array_equal(out.frames, whole.frames[3:9])


def test_a_whole_foreign_clip(tmp_path, qtbot, job):
    with qtbot.waitSignal(job.saved, timeout=WAIT):
        job.start(write_foreign(tmp_path / "foreign.mp4"), tmp_path / "out.mp4")
    out = Clip.load(tmp_path / "out.mp4")
    assert out.settings == {} and len(out.frames) == 9


def test_cancel_leaves_nothing_and_what_was_there(tmp_path, qtbot, job, clip):
    target = write_clip(tmp_path / "out.mp4", frames=2)
    before = target.read_bytes()
    names = sorted(os.listdir(tmp_path))
    job.progressed.connect(job.cancel)
    with (
        qtbot.waitSignal(job.cancelled, timeout=WAIT),
        qtbot.assertNotEmitted(job.saved),
        qtbot.assertNotEmitted(job.failed),
    ):
        job.start(clip, target)
        job.cancel()
    assert (
        target.read_bytes() == before and sorted(os.listdir(tmp_path)) == names and not job.running
    )
    with qtbot.waitSignal(job.saved, timeout=WAIT):  # and the next one works
        job.progressed.disconnect(job.cancel)
        job.start(clip, target)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("clip.mp4", "clip.mp4", "{target} is the clip itself"),
        ("clip.mp4", "none/out.mp4", "{target.parent} does not exist"),
        ("gone.mp4", "out.mp4", "no clip {source}"),
        ("bad.mp4", "out.mp4", "{source} is not a clip"),
        ("clip.mp4", "full", "{target} holds other files (a.txt)"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path, qtbot, job, clip, source, target, words):
    (tmp_path / "bad.mp4").write_text("no clip")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("")
    before = sorted(os.listdir(tmp_path))
    content = clip.read_bytes()
    source = tmp_path / source
    target = tmp_path / target
    with qtbot.waitSignal(job.failed, timeout=WAIT) as failed:
        job.start(source, target)
    assert words.format(source=source, target=target) in failed.args[0]
    assert sorted(os.listdir(tmp_path)) == before
    assert clip.read_bytes() == content
    assert not job.running


def test_a_trim_beyond_the_clip_is_told(tmp_path, qtbot, job, clip):
    with qtbot.waitSignal(job.failed, timeout=WAIT) as failed:
        job.start(clip, tmp_path / "out.mp4", 50)
    assert f"{clip} has no frames from 50 on" in failed.args[0]
    assert not (tmp_path / "out.mp4").exists()


def test_one_begun_when_another_is_saved_is_not_taken_for_cancelled(tmp_path, qtbot, job, clip):
    """The first one's thread ends only after its file was announced."""
    cancelled = []
    job.cancelled.connect(lambda: cancelled.append(True))
    names = [f"{number}.png" for number in range(8)]
    left = list(names)

    def start_next() -> None:
        if left:
            job.start(clip, tmp_path / left.pop(0), 0, 0)

    job.saved.connect(start_next)
    start_next()
    qtbot.waitUntil(lambda: not left and not job.running, timeout=WAIT)
    assert not cancelled
    assert all((tmp_path / name).exists() for name in names)
