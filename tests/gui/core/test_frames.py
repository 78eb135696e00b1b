"""Clips come into memory frame by frame, within a budget and in other threads; what is broken gives
what it has and one sentence.
"""

from __future__ import annotations

import shutil
import threading
from itertools import islice

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QObject, QThread, Slot

from mlxvid.errors import MediaError
from mlxvid.gui.core import frames as frames_module
from mlxvid.gui.core.frames import Facts, fit, frame_of, reading
from mlxvid.gui.core.reel import Reel, image_of
from mlxvid.gui.core.tasks import Tasks
from mlxvid.media.clip import Clip
from tests.gui.clips import cut, levels, number_of, write_clip, write_foreign

WAIT = 10_000


@pytest.fixture
def reel(qapp):
    return Reel(Tasks(2))


def finish(qtbot, reel, path) -> str:
    """Open a clip and wait for all of it; returns the closing words."""
    with qtbot.waitSignal(reel.ended, timeout=WAIT) as ended:
        reel.open(path)
    return ended.args[0]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.mov", "clip.gif", "frames"])
@pytest.mark.parametrize("size", [(48, 32), (33, 31)])
def test_frames_are_those_that_the_library_reads(tmp_path, name, size):
    path = write_clip(tmp_path / name, width=size[0], height=size[1])
    whole = Clip.load(path)
    with reading(path) as (facts, pictures):
        assert (facts.fps, facts.frames, facts.width, facts.height) == (8, 9, *size)
        assert facts.settings == whole.settings
        assert np.array_equal(np.stack([picture(None) for picture in pictures]), whole.frames)
    with reading(path) as (_, pictures):
        small = next(pictures)((20, 10))
        assert small.shape == (10, 20, 3) and small.flags.c_contiguous and number_of(small) == 0


def test_a_foreign_clip_has_no_settings(tmp_path):
    with reading(write_foreign(tmp_path / "foreign.mp4")) as (facts, pictures):
        assert facts == Facts(8, 9, 48, 32, {})
        assert [number_of(picture(None)) for picture in pictures] == list(range(9))


def test_an_animated_webp_is_a_clip(tmp_path):
    pictures = [Image.fromarray(frame) for frame in levels(4)]
    path = tmp_path / "clip.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40, lossless=True)
    with reading(path) as (facts, pictures):
        assert (facts.fps, facts.frames) == (25, 4)
        assert np.array_equal(np.stack([picture(None) for picture in pictures]), levels(4))


def test_one_picture_is_a_clip_of_one_frame(tmp_path):
    path = Clip(levels(1), 8, {}).save(tmp_path / "one.png")
    with reading(path) as (facts, pictures):
        assert facts.frames == 1 == len(list(pictures))


def test_a_cut_clip_gives_what_is_there_and_says_so(tmp_path, qtbot, reel):
    path = write_clip(tmp_path / "cut.mp4", frames=25, width=160, height=96)
    cut(path, 0.95)  # the tables at the front of these small files take most of them
    assert (
        finish(qtbot, reel, path)
        == f"{path} is not a clip that can be read, or is damaged: copy or make it again."
    )
    assert 0 < len(reel.frames) < 25 and reel.count == len(reel.frames) and reel.complete
    assert [number_of(frame) for frame in reel.frames[:5]] == list(range(5))


def test_a_clip_with_fewer_frames_than_promised_says_so(tmp_path, qtbot, reel):
    """A webm has no table: it just ends."""
    path = write_clip(tmp_path / "cut.webm", frames=25)
    cut(path, 0.9)
    words = finish(qtbot, reel, path)
    assert (
        words
        == f"{path} is cut short, with {len(reel.frames)} of 25 frames: copy or make it again."
    )
    assert 0 < len(reel.frames) < 25


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "folder", "half a header"])
def test_what_is_no_clip_gives_one_sentence(tmp_path, qtbot, reel, kind):
    path = tmp_path / "bad.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "half a header":
        cut(write_clip(path), 0.05)
    elif kind != "missing":
        path.write_text("" if kind == "empty" else "this is no clip")
    words = finish(qtbot, reel, path)
    assert str(path) in words and words.endswith(".") and "\n" not in words
    assert not reel.frames and reel.count == 0 and reel.complete


def test_budget(tmp_path, qtbot):
    small = Facts(24, 81, 832, 480, {})
    assert fit(small) == (None, (512 << 20) // (832 * 480 * 3))
    long = Facts(24, 24 * 60, 1920, 1080, {})
    (width, height), most = fit(long)
    assert (
        most >= long.frames
        and width * height * 3 * most <= 512 << 20
        and abs(width / height - 16 / 9) < 0.01
    )
    endless = Facts(24, 24 * 3600, 1920, 1080, {})
    (width, height), most = fit(endless)
    assert width == 256 and most < endless.frames and width * height * 3 * most <= 512 << 20
    assert fit(Facts(24, 0, 100, 100, {}), 300_000) == (
        None,
        10,
    )  # the file doesn't say: as many as there is room for
    assert fit(Facts(24, 10**6, 100, 100, {}), 300_000) == ((100, 100), 10)  # already small
    path = write_clip(tmp_path / "clip.mp4", frames=16, width=320, height=64)
    reduced = Reel(Tasks(1), budget=16 * 280 * 56 * 3)
    assert finish(qtbot, reduced, path) == ""
    assert (
        reduced.reduced == (280, 56)
        and len(reduced.frames) == 16
        and reduced.frames[0].shape == (56, 280, 3)
    )
    shortened = Reel(Tasks(1), budget=8 * 256 * 51 * 3)
    assert "the first 1 seconds" in finish(qtbot, shortened, path)
    assert shortened.count == len(shortened.frames) == 8


def test_pictures_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "frames")
    monkeypatch.setattr(frames_module, "BUDGET", 1000)
    with (
        pytest.raises(MediaError, match=r"frames is too long .*\.mp4"),
        reading(path),
    ):
        pass


def test_single_frames(tmp_path):
    path = write_clip(tmp_path / "clip.mp4")
    whole = Clip.load(path).frames
    assert np.array_equal(frame_of(path, 4, lambda: None), whole[4])
    assert np.array_equal(frame_of(path, None, lambda: None), whole[-1])
    with pytest.raises(
        MediaError,
        match=r"clip\.mp4 has no frame 9",
    ):
        frame_of(path, 9, lambda: None)


def test_the_clip_opened_last_is_the_one_that_is_kept(tmp_path, qtbot, reel):
    first = write_clip(tmp_path / "first.mp4", frames=25, width=320, height=192)
    second = write_clip(tmp_path / "second.mp4", frames=5)
    reel.open(first)
    assert finish(qtbot, reel, second) == ""
    qtbot.wait(50)  # for what might still come from the first
    assert reel.path == second and len(reel.frames) == 5 == reel.count
    reel.open(first)
    reel.close()
    qtbot.wait(50)
    assert reel.path is None and not reel.frames


def test_a_file_that_vanishes_while_it_is_read_is_read_to_its_end(tmp_path):
    """On these systems an open file outlives its name; what matters is that nothing raises."""
    path = write_clip(tmp_path / "frames.mp4", frames=20)
    with reading(path) as (_, pictures):
        list(islice(pictures, 3))
        path.unlink()
        assert len(list(pictures)) == 17
    folder = write_clip(tmp_path / "folder")
    with reading(folder) as (_, pictures):
        shutil.rmtree(folder)
        assert len(list(pictures)) == 9


def test_the_picture_shares_and_keeps_the_memory(qapp):
    frame = levels(1)[0].copy()
    image = image_of(frame)
    frame[16, 24] = (200, 10, 20)
    assert image.pixelColor(24, 16).red() == 200
    del frame
    _ = [
        np.ones((32, 48, 3), np.uint8) for _ in range(50)
    ]  # what would take over memory that was given back
    assert image.pixelColor(24, 16).getRgb()[:3] == (200, 10, 20)


class _Listener(QObject):
    def __init__(self):
        super().__init__()
        self.heard = []

    @Slot(object, object)
    def hear(self, task, value):
        self.heard.append((value, QThread.currentThread() is self.thread()))


def test_work_is_done_elsewhere_and_told_here(qtbot):
    tasks = Tasks(1)
    listener = _Listener()
    here = threading.get_ident()

    def work(task):
        task.step("step")
        return threading.get_ident() != here

    tasks.run(work, stepped=listener.hear, done=listener.hear)
    qtbot.waitUntil(lambda: len(listener.heard) == 2, timeout=WAIT)
    assert listener.heard == [("step", True), (True, True)]


def test_errors_of_files_and_memory_are_told_in_words(qtbot):
    tasks = Tasks(1)
    for error, words in (
        (MemoryError(), "not enough memory"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ):

        def work(task, error=error):
            raise error

        task = tasks.task(work)
        with qtbot.waitSignal(task.failed, timeout=WAIT) as failed:
            tasks.start(task)
        assert words in failed.args[1]


def test_what_is_cancelled_tells_nothing_but_its_end(qtbot):
    tasks = Tasks(1)
    begun = threading.Event()
    go = threading.Event()
    heard = []

    def work(task):
        begun.set()
        go.wait(10)
        task.check()

    task = tasks.task(work)
    for signal in (task.done, task.failed):
        signal.connect(lambda *args: heard.append(args))
    with qtbot.waitSignal(task.ended, timeout=WAIT):
        tasks.start(task)
        begun.wait(10)
        tasks.stop()
        go.set()
    assert heard == []
