"""Exports keep pixels, rate, settings and the part; what goes wrong or is cancelled leaves nothing
behind.
"""

from __future__ import annotations

import os
import resource
import signal

import av
import numpy as np
import pytest

from mlxvid.gui.core.export import Copy, Export, Source
from mlxvid.gui.core.recipes import FORMATS, Recipe
from mlxvid.media.clip import Clip
from tests.gui.clips import cut, number_of, write_clip, write_foreign

WAIT = 10_000


@pytest.fixture
def job(qapp):
    return Export()


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=12, width=96, height=64)


def source(path, first=0, last=None) -> Source:
    return Source(path, 12, 8.0, 96, 64, first, last)


def outcome(qtbot, job, *copies, recipe=Recipe()):  # noqa: B008  a value that nobody changes
    """What becomes of a batch."""
    with qtbot.waitSignal(job.ended, timeout=WAIT) as ended:
        job.start([Copy(*copy) for copy in copies], recipe)
        assert job.running
    assert not job.running
    return ended.args[1]


@pytest.mark.parametrize("form", [form for form in FORMATS if form.key != "original"])
def test_a_part_in_every_format(tmp_path, qtbot, job, clip, form):
    target = tmp_path / f"out{form.suffix}"
    counted = []
    job.progressed.connect(lambda progress: counted.append((progress.done, progress.count)))
    made = outcome(qtbot, job, (source(clip, 3, 8), target), recipe=Recipe(form.key))
    assert made.saved == [target]
    assert not made.failures
    assert counted == [(done, 6) for done in range(7)]
    out = Clip.load(target)
    whole = Clip.load(clip)
    assert out.settings == whole.settings
    assert out.fps == 8
    assert [number_of(frame) for frame in out.frames] == [3, 4, 5, 6, 7, 8]
    if form.key in ("png", "ffv1"):
        assert np.array_equal(out.frames, whole.frames[3:9])


def test_each_format_has_its_codec(tmp_path, qtbot, job, clip):
    names = {"h264": "h264", "hevc": "hevc", "prores-4444": "prores", "ffv1": "ffv1"}
    for form in FORMATS:
        if form.key in names:
            target = tmp_path / f"{form.key}{form.suffix}"
            outcome(qtbot, job, (source(clip), target), recipe=Recipe(form.key))
            with av.open(str(target)) as container:
                assert container.streams.video[0].codec_context.name == names[form.key]


def test_the_original_is_the_file_itself(tmp_path, qtbot, job, clip):
    folder = write_clip(tmp_path / "frames", frames=3)
    foreign = write_foreign(tmp_path / "foreign.mp4")
    copies = [
        (source(clip, 3, 8), tmp_path / "a.mp4"),
        (source(folder), tmp_path / "b"),
        (source(foreign), tmp_path / "c.mp4"),
    ]
    made = outcome(qtbot, job, *copies, recipe=Recipe("original", side=16, speed=4))
    assert len(made.saved) == 3
    assert (tmp_path / "a.mp4").read_bytes() == clip.read_bytes()
    assert (tmp_path / "c.mp4").read_bytes() == foreign.read_bytes()
    assert sorted(os.listdir(tmp_path / "b")) == sorted(os.listdir(folder))
    assert len(Clip.load(tmp_path / "b").frames) == 3


@pytest.mark.parametrize(
    ("recipe", "fps", "numbers", "shape"),
    [
        (Recipe(speed=2), 16, list(range(12)), (64, 96)),
        (Recipe(fps=4), 4, [1, 3, 5, 7, 9, 11], (64, 96)),
        (Recipe(fps=16), 16, [n for n in range(12) for _ in range(2)], (64, 96)),
        (Recipe(fps=8, speed=2), 8, [1, 3, 5, 7, 9, 11], (64, 96)),
        (Recipe(side=48), 8, list(range(12)), (32, 48)),
        (Recipe(side=4000), 8, list(range(12)), (64, 96)),
    ],
)
def test_size_rate_and_speed(tmp_path, qtbot, job, clip, recipe, fps, numbers, shape):
    outcome(qtbot, job, (source(clip), tmp_path / "out.mp4"), recipe=recipe)
    out = Clip.load(tmp_path / "out.mp4")
    assert out.fps == fps
    assert [number_of(frame) for frame in out.frames] == numbers
    assert out.frames.shape[1:3] == shape


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


@pytest.mark.parametrize(
    ("name", "target", "form", "words"),
    [
        ("clip.mp4", "clip.mp4", "h264", "{target} is the clip itself"),
        ("clip.mp4", "clip.mp4", "original", "{target} is the clip itself"),
        ("clip.mp4", "none/out.mp4", "h264", "{target.parent} does not exist"),
        ("clip.mp4", "none/out.mp4", "original", "{target} can't be written"),
        ("gone.mp4", "out.mp4", "h264", "no clip {source}"),
        ("gone.mp4", "out.mp4", "original", "no clip {source}"),
        ("bad.mp4", "out.mp4", "h264", "{source} is not a clip"),
        ("clip.mp4", "full", "png", "{target} holds other files (a.txt)"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path, qtbot, job, clip, name, target, form, words):
    (tmp_path / "bad.mp4").write_text("no clip")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("")
    before = sorted(os.listdir(tmp_path))
    content = clip.read_bytes()
    path = tmp_path / name
    target = tmp_path / target
    made = outcome(qtbot, job, (source(path), target), recipe=Recipe(form))
    assert words.format(source=path, target=target) in made.failures[0]
    assert sorted(os.listdir(tmp_path)) == before
    assert clip.read_bytes() == content


def test_only_the_part_is_read(tmp_path, qtbot, job):
    """What comes after it may be damaged, or too long for the memory."""
    clip = write_clip(tmp_path / "clip.mkv", frames=20, width=96, height=64)
    cut(clip, 0.7)
    assert outcome(qtbot, job, (source(clip), tmp_path / "all.gif"), recipe=Recipe("gif")).failures
    made = outcome(qtbot, job, (source(clip, 2, 5), tmp_path / "part.mp4"))
    assert made.saved == [tmp_path / "part.mp4"]
    frames = Clip.load(tmp_path / "part.mp4").frames
    assert [number_of(frame) for frame in frames] == [2, 3, 4, 5]


def test_a_part_beyond_the_clip_is_told(tmp_path, qtbot, job, clip):
    made = outcome(qtbot, job, (source(clip, 50), tmp_path / "out.mp4"))
    assert f"{clip} has no frames from 50 on" in made.failures[0]
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("form", ["h264", "original", "webp"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, qtbot, job, clip, form):
    """A limit on the size of files is what a process can have of a full disk."""
    before = sorted(os.listdir(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        target = tmp_path / f"out{'.webp' if form == 'webp' else '.mp4'}"
        made = outcome(qtbot, job, (source(clip), target), recipe=Recipe(form))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    (failure,) = made.failures
    assert str(target) in failure
    assert "make room" in failure
    assert sorted(os.listdir(tmp_path)) == before
