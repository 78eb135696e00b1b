"""WebPs keep every frame's time and the settings, and other readers see the same."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlxvid.media.clip import Clip, read_settings

from .moving import SETTINGS, moving, psnr


@pytest.mark.parametrize("fps", [8.0, 23.976, 60.0])
def test_times_are_exact_to_a_millisecond(tmp_path, fps):
    path = Clip(moving(12), fps, {}).save(tmp_path / "clip.webp")
    clip = Clip.load(path)
    assert clip.fps == pytest.approx(fps, abs=1e-3)
    assert psnr(clip.frames, moving(12)) > 28  # each at its own time
    with Image.open(path) as picture:
        durations = []
        for index in range(picture.n_frames):
            picture.seek(index)
            picture.load()
            durations.append(picture.info["duration"])
        assert picture.info["loop"] == 0
    assert abs(sum(durations) - 12_000 / fps) <= 1


def test_equal_frames_stay_apart(tmp_path):
    frames = moving(4).repeat([3, 1, 2, 5], axis=0)
    clip = Clip.load(Clip(frames, 10, SETTINGS).save(tmp_path / "clip.webp"))
    assert clip.frames.shape == frames.shape
    pairs = zip(clip.frames[:-1], clip.frames[1:], strict=True)
    assert [np.array_equal(before, after) for before, after in pairs] == [
        mark == "=" for mark in "==  = ===="
    ]
    still = Clip.load(Clip(frames[:1].repeat(5, 0), 10, {}).save(tmp_path / "still.webp"))
    assert len(still.frames) == 5
    assert still.fps == 10


def test_it_can_be_without_settings(tmp_path):
    path = Clip(moving(3), 8, SETTINGS).save(tmp_path / "bare.webp", metadata=False)
    assert b"mlxvid" not in path.read_bytes()
    assert Clip.load(path).settings == {}
    tagged = Clip(moving(3), 8, SETTINGS).save(tmp_path / "tagged.webp")
    assert read_settings(tagged) == SETTINGS


def test_frames_that_differ_little_stay_in_their_places(tmp_path):
    levels = 24 + 8 * np.arange(12)
    frames = np.ones((12, 48, 64, 3), np.uint8) * levels[:, None, None, None].astype(np.uint8)
    clip = Clip.load(Clip(frames, 8, {}).save(tmp_path / "clip.webp"))
    assert np.abs(clip.frames.astype(int) - frames).max() <= 2
