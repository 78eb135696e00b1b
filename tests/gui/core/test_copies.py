"""Copies keep pixels, rate, settings and the part; what goes wrong leaves nothing behind."""

from __future__ import annotations

import os
import re
import resource
import signal
from pathlib import Path

import av
import numpy as np
import pytest

from mlxvid.errors import MediaError
from mlxvid.gui.core.copies import Source, save_copy
from mlxvid.gui.core.recipes import FORMATS, Recipe
from mlxvid.media.clip import Clip
from tests.gui.clips import cut, number_of, write_clip, write_foreign


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=12, width=96, height=64)


def source(path, first=0, last=None) -> Source:
    return Source(path, 12, 8.0, 96, 64, first, last)


def save(copied: Source, target: Path, recipe: Recipe) -> list[tuple[int, int]]:
    """Save a copy; what was reported."""
    reports = []
    save_copy(copied, target, recipe, lambda: None, lambda *report: reports.append(report))
    return reports


@pytest.mark.parametrize("form", [form for form in FORMATS if form.key != "original"])
def test_a_part_in_every_format(tmp_path, clip, form):
    target = tmp_path / f"out{form.suffix}"
    counted = save(source(clip, 3, 8), target, Recipe(form.key))
    assert counted == [(done, 6) for done in range(7)]
    out = Clip.load(target)
    whole = Clip.load(clip)
    assert out.settings == whole.settings
    assert out.fps == 8
    assert [number_of(frame) for frame in out.frames] == [3, 4, 5, 6, 7, 8]
    if form.key in ("png", "ffv1"):
        assert np.array_equal(out.frames, whole.frames[3:9])


def test_each_format_has_its_codec(tmp_path, clip):
    names = {"h264": "h264", "hevc": "hevc", "prores-4444": "prores", "ffv1": "ffv1"}
    for form in FORMATS:
        if form.key in names:
            target = tmp_path / f"{form.key}{form.suffix}"
            save(source(clip), target, Recipe(form.key))
            with av.open(str(target)) as container:
                assert container.streams.video[0].codec_context.name == names[form.key]


def test_the_original_is_the_file_itself(tmp_path, clip):
    folder = write_clip(tmp_path / "frames", frames=3)
    foreign = write_foreign(tmp_path / "foreign.mp4")
    recipe = Recipe("original", side=16, speed=4)
    save(source(clip, 3, 8), tmp_path / "a.mp4", recipe)
    save(source(folder), tmp_path / "b", recipe)
    save(source(foreign), tmp_path / "c.mp4", recipe)
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
def test_size_rate_and_speed(tmp_path, clip, recipe, fps, numbers, shape):
    save(source(clip), tmp_path / "out.mp4", recipe)
    out = Clip.load(tmp_path / "out.mp4")
    assert out.fps == fps
    assert [number_of(frame) for frame in out.frames] == numbers
    assert out.frames.shape[1:3] == shape


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
def test_what_cannot_be_done_is_told(tmp_path, clip, name, target, form, words):
    (tmp_path / "bad.mp4").write_text("no clip")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("")
    before = sorted(os.listdir(tmp_path))
    content = clip.read_bytes()
    path = tmp_path / name
    target = tmp_path / target
    said = words.format(source=path, target=target)
    with pytest.raises(MediaError, match=re.escape(said)):
        save(source(path), target, Recipe(form))
    assert sorted(os.listdir(tmp_path)) == before
    assert clip.read_bytes() == content


def test_only_the_part_is_read(tmp_path):
    """What comes after it may be damaged, or too long for the memory."""
    clip = write_clip(tmp_path / "clip.mkv", frames=20, width=96, height=64)
    cut(clip, 0.7)
    with pytest.raises(MediaError, match="clip.mkv"):
        save(source(clip), tmp_path / "all.gif", Recipe("gif"))
    save(source(clip, 2, 5), tmp_path / "part.mp4", Recipe())
    frames = Clip.load(tmp_path / "part.mp4").frames
    assert [number_of(frame) for frame in frames] == [2, 3, 4, 5]


def test_a_part_beyond_the_clip_is_told(tmp_path, clip):
    with pytest.raises(MediaError, match="no frames from 50 on"):
        save(source(clip, 50), tmp_path / "out.mp4", Recipe())
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("form", ["h264", "original", "webp"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, clip, form):
    """A limit on the size of files is what a process can have of a full disk."""
    before = sorted(os.listdir(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    target = tmp_path / f"out{'.webp' if form == 'webp' else '.mp4'}"
    try:
        with pytest.raises(MediaError, match="make room") as failure:
            save(source(clip), target, Recipe(form))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(target) in str(failure.value)
    assert sorted(os.listdir(tmp_path)) == before
