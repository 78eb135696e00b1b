"""Clips to go on from: only their shared frames are read, and the new clip keeps rate and size."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from mlxvid.catalog import CATALOG
from mlxvid.errors import MediaError, SettingError
from mlxvid.media import images
from mlxvid.media.clip import Clip
from mlxvid.media.video import Video
from mlxvid.run import joints
from mlxvid.run.complete import complete
from mlxvid.run.jobs import with_length
from tests.facts import facts
from tests.media.foreign import encoded, turned
from tests.media.moving import moving

CARD = next(card for card in CATALOG.values() if "extend" in card.takes)
SHARED = CARD.shared_frames


def completed(**settings):
    return complete(CARD, {"prompt": "a ball", "frames": 3 * SHARED, "seed": 1, **settings})


@pytest.fixture
def notes(caplog):
    caplog.set_level(logging.INFO, "mlxvid")
    return lambda: " ".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("ending", ["mp4", "webm", "mov", "gif", ""])
def test_the_shared_frames_are_those_of_the_whole_clip(tmp_path, ending):
    path = Clip(moving(60), 25, {}).save(tmp_path / f"clip{ending and '.'}{ending}")
    whole = Clip.load(path).frames
    request = completed(extend=path, join=str(path))
    first, last = (request.pictures[slot] for slot in sorted(request.pictures))
    assert np.array_equal(first, whole[-SHARED:]) and np.array_equal(last, whole[:SHARED])
    assert request.joints == {"extend": str(path), "join": str(path)}


def test_a_long_clip_is_neither_decoded_nor_kept_whole(tmp_path, monkeypatch):
    path = encoded(tmp_path / "long.mp4", moving(300, 96, 64), options={"g": "24"})
    fitted = []
    fit = images.fit

    def counted(pixels, width, height):
        fitted.append(pixels.shape[:2])
        return fit(pixels, width, height)

    monkeypatch.setattr(images, "fit", counted)
    monkeypatch.setattr(Clip, "load", None)
    request = completed(extend=path, join=path, width=48, height=32)
    assert {frames.shape for frames in request.pictures.values()} == {(SHARED, 32, 48, 3)}
    assert fitted.count((64, 96)) <= 2 * SHARED + 16


def test_a_folder_gives_only_the_frames_that_are_needed(tmp_path):
    path = Clip(moving(40), 12, {}).save(tmp_path / "frames")
    for index in range(SHARED, 40 - SHARED):
        (path / f"frame_{index:04d}.png").write_bytes(b"no picture")
    request = completed(extend=path, join=path)
    assert len(request.pictures) == 2 and request.fps == 12


# --- rate and size -------------------------------------------------------------------------------


@pytest.mark.parametrize(("fps", "kept"), [(23.976, 24000 / 1001), (30, 30), (12.5, 12.5)])
@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_the_rate_and_the_size_are_kept(tmp_path, notes, fps, kept, ending):
    path = Clip(moving(30, 128, 80), fps, {}).save(tmp_path / f"clip.{ending}")
    for name in ("extend", "join"):
        request = completed(**{name: path})
        assert (request.fps, request.width, request.height) == (kept, 128, 80)
        again = completed(**{name: path, "fps": request.fps})
        assert again.settings() == request.settings()
    assert "speed" not in notes()


def test_a_phones_clip_is_gone_on_from_upright(tmp_path):
    path = turned(encoded(tmp_path / "phone.mp4", moving(30, 128, 80)), "90")
    request = completed(extend=path)
    assert (request.width, request.height) == (80, 128)


def test_what_can_not_be_kept_is_said(tmp_path, notes):
    path = Clip(moving(20, 64, 48), 24, {}).save(tmp_path / "clip.mp4")
    request = completed(extend=path, fps=12, width=96, height=64)
    assert (request.fps, request.width, request.height) == (12, 96, 64)
    assert "clip.mp4 plays at 24 frames a second" in notes() and "12" in notes()
    assert "enlarged" in notes()


def test_a_size_that_the_model_can_not_make_is_not_kept(tmp_path, notes):
    path = encoded(tmp_path / "large.mp4", np.full((18, 1080, 1920, 3), 90, np.uint8))
    request = completed(extend=path)
    default = CARD.defaults
    assert request.width * request.height <= 1.2 * default.width * default.height
    assert abs(request.width / request.height - 16 / 9) < 0.1
    assert "large.mp4 has frames of 1920x1080" in notes() and "`width`" in notes()


def test_a_size_off_the_models_grid_is_rounded_and_said(tmp_path, notes):
    coarse = dataclasses.replace(CARD.geometry, s_factor=16)
    card = dataclasses.replace(CARD, geometry=coarse)
    path = Clip(moving(20, 72, 56), 24, {}).save(tmp_path / "clip.mp4")
    (width, height), note = joints.kept_size(
        joints.open_joints(card, {"extend": path}, 51), card, 51
    )
    rounded = card.geometry.round_size(72, 56)[:2]
    assert (width, height) == rounded
    assert (note is None) == (rounded == (72, 56))


def test_seconds_are_counted_at_the_clips_rate(tmp_path):
    path = Clip(moving(20), 12, {}).save(tmp_path / "clip.mp4")
    assert with_length({"extend": path}, 4, CARD, [])["frames"] == 48
    assert with_length({"extend": path, "fps": 30}, 4, CARD, [])["frames"] == 120
    assert with_length({}, 4, CARD, [])["frames"] == 4 * CARD.defaults.fps


# --- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mp4", "gif", ""])
def test_a_clip_that_is_too_short_is_refused(tmp_path, ending):
    path = Clip(moving(5), 12, {}).save(tmp_path / f"clip{ending and '.'}{ending}")
    for name in ("extend", "join"):
        with pytest.raises(SettingError, match=facts(f"`{name}`", "fewer", SHARED, "longer")):
            completed(**{name: path})


def test_no_memory_is_one_sentence(tmp_path, monkeypatch):
    path = Clip(moving(20), 12, {}).save(tmp_path / "clip.mp4")

    def full(self, frame, size):
        raise MemoryError

    monkeypatch.setattr(Video, "_converted", full)
    with pytest.raises(MediaError, match=facts("clip.mp4", "memory")):
        completed(extend=path)
