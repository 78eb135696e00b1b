"""Clip to clip: what is read of the other clip, what follows it, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import logging

import numpy as np
import pytest

import mlxvid
from mlxvid.catalog import CATALOG
from mlxvid.errors import MediaError, SettingError
from mlxvid.generate import main
from mlxvid.media.clip import Clip, read_settings
from mlxvid.model.machine import GIB, Machine
from mlxvid.model.strength import first_step
from mlxvid.run.complete import complete
from mlxvid.run.jobs import with_length
from mlxvid.run.planning import plan
from tests.facts import facts
from tests.media.moving import moving

CARD = CATALOG["mini"]
MACHINE = Machine("test", 64 * GIB, 48 * GIB, metal=True)


def completed(card=CARD, **settings):
    return complete(card, {"prompt": "a ball", "frames": 9, "steps": 10, "seed": 1, **settings})


@pytest.fixture
def notes(caplog):
    caplog.set_level(logging.WARNING, "mlxvid")
    return lambda: [record.getMessage() for record in caplog.records]


def saved(folder, frames=12, width=64, height=48, fps=12.5, name="clip.mp4"):
    return str(Clip(moving(frames, width, height), fps, {}).save(folder / name))


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "clip"])
def test_the_first_frames_are_taken_with_the_rate(tmp_path, notes, name):
    path = saved(tmp_path, name=name)
    request = completed(video=path, width=64, height=48)
    assert np.array_equal(request.video, Clip.load(path).frames[:9])
    assert request.fps == 12.5
    assert request.settings()["video"] == path
    assert request.settings()["strength"] == 0.8
    assert path in request.digests
    assert request.pictures == {} and request.settings()["keyframes"] == {}
    (note,) = notes()
    assert "first 9 frames" in note


def test_the_rate_that_is_given_counts(tmp_path):
    path = saved(tmp_path)
    assert completed(video=path, fps=24).fps == 24
    assert completed(video=moving(9)).fps == CARD.defaults.fps
    assert with_length({"video": path}, 2, CARD, [])["frames"] == 25


def test_a_shorter_clip_shortens_the_new_one(tmp_path, notes):
    request = completed(video=saved(tmp_path, frames=8, fps=8), frames=33, width=64, height=48)
    assert request.frames == len(request.video) == 5
    (note,) = notes()
    for fact in ("8 frames", "33", "5 frames long"):
        assert fact in note
    assert completed(video=moving(1), frames=33).frames == 1


def test_the_size_follows_the_clips_proportions(tmp_path, notes):
    request = completed(video=saved(tmp_path, frames=9, width=128, height=64))
    assert request.width == 2 * request.height
    assert request.video.shape == (9, request.height, request.width, 3)
    assert "of the clip (128x64)" in " ".join(notes())
    assert completed(video=moving(9, 128, 64), width=32, height=32).video.shape == (9, 32, 32, 3)


def test_clips_in_memory_are_told_apart_by_their_frames():
    one = completed(video=Clip(moving(9), 8, {}))
    assert one.settings()["digests"] == completed(video=moving(9)).digests
    assert one.digests != completed(video=moving(9)[::-1].copy()).digests


# --- strength ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "strength", "first"),
    [
        (10, 1.0, 0), (10, 0.8, 2), (10, 0.3, 7), (30, 0.7, 9), (50, 0.58, 22), (7, 0.5, 4),
        (10, 0.1, 9), (10, 0.05, 10), (1, 1.0, 0),
    ],
)  # fmt: skip
def test_the_first_step_is_diffusers(steps, strength, first):
    init = min(int(steps * strength), steps)  # as WanVideoToVideoPipeline.get_timesteps has it
    assert first_step(steps, strength) == max(steps - init, 0) == first
    if first < steps:
        assert completed(video=moving(9), steps=steps, strength=strength).first == first


def test_without_a_clip_all_steps_are_made():
    assert completed().first == 0
    assert "strength" not in completed().settings()


BAD = {
    "strength 2": ({"video": moving(9), "strength": 2}, ("`strength`", "0 to 1", "not 2")),
    "negative": ({"video": moving(9), "strength": -0.1}, ("`strength`", "0 to 1")),
    "nan": ({"video": moving(9), "strength": float("nan")}, ("`strength`", "0 to 1", "not nan")),
    "text": ({"video": moving(9), "strength": "much"}, ("`strength`", "0 to 1", "'much'")),
    "too little": (
        {"video": moving(9), "strength": 0.05},
        ("`strength`", "0.05", "none of 10 `steps`", "raise"),
    ),
    "zero": ({"video": moving(9), "strength": 0}, ("`strength`", "none of 10 `steps`")),
    "no clip": ({"strength": 0.5}, ("`strength`", "`video`")),
    "with a picture": (
        {"video": moving(9), "image": moving(1)[0]},
        ("`video`", "`image`", "leave one"),
    ),
    "with a keyframe": (
        {"video": moving(9), "keyframes": {0: moving(1)[0]}},
        ("`video`", "`keyframes`", "leave one"),
    ),
    "a number": ({"video": 5}, ("uint8",)),
    "a picture": ({"video": moving(1)[0]}, ("uint8",)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_clip_can_be_made_from_is_one_sentence(name):
    settings, words = BAD[name]
    with pytest.raises(SettingError, match=facts(*words)) as caught:
        completed(**settings)
    assert "\n" not in str(caught.value)


def test_a_clip_that_is_not_there_or_none(tmp_path):
    with pytest.raises(MediaError, match=facts("gone.mp4")):
        completed(video=tmp_path / "gone.mp4")
    (tmp_path / "odd.mp4").write_bytes(b"no clip")
    with pytest.raises(MediaError, match=facts("odd.mp4")):
        completed(video=tmp_path / "odd.mp4")


def test_a_model_that_can_not_says_so():
    card = dataclasses.replace(CARD, takes=CARD.takes - {"video", "strength"})
    with pytest.raises(SettingError, match=facts("takes no `video`")):
        completed(card, video=moving(9))


def test_keyframes_that_are_none_are_no_keyframes():
    assert completed(video=moving(9), keyframes={}).video is not None


# --- the doors -----------------------------------------------------------------------------------


def test_from_repeats_it_and_sees_a_changed_clip(tiny_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, name="given.mp4")
    quiet = ("--progress", "none")
    small = "--frames 9 --width 32 --height 32 --steps 5 --seed 1".split()
    made = ["--model", str(tiny_folder), "--prompt", "a ball", *small, "--video", "given.mp4"]
    assert main([*made, "--strength", "0.6", "-o", "one.mp4", *quiet]) == 0
    settings = read_settings("one.mp4")
    assert (settings["video"], settings["strength"]) == (path, 0.6)
    assert main(["--from", "one.mp4", "-o", "two.mp4", *quiet]) == 0
    assert read_settings("two.mp4") == settings
    assert np.array_equal(Clip.load("one.mp4").frames, Clip.load("two.mp4").frames)
    capsys.readouterr()
    assert main([*made, "-o", "given.mp4", *quiet]) == 2
    assert "--video" in capsys.readouterr().err
    saved(tmp_path, frames=20, name="given.mp4")
    assert main(["--from", "one.mp4", "-o", "two.mp4", *quiet]) == 0
    assert "given.mp4 has changed" in capsys.readouterr().err
    (tmp_path / "given.mp4").unlink()
    assert main(["--from", "one.mp4", "-o", "two.mp4", *quiet]) == 2
    assert "--video" in capsys.readouterr().err


def test_a_run_is_another_with_another_clip(tiny):
    settings = dict(width=32, height=32, frames=9, steps=4, seed=1, strength=0.5)
    one = tiny.generate("a ball", video=moving(9, 32, 32), **settings)
    other = tiny.generate("a ball", video=255 - moving(9, 32, 32), **settings)
    assert not np.array_equal(one.frames, other.frames)
    json.dumps(one.settings)
    assert mlxvid.Clip(one.frames, one.fps, one.settings).settings["video"]


# --- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, card in CATALOG.items() if "video" in card.takes])
def test_a_plan_counts_the_clip_that_is_encoded(name):
    without = plan(CATALOG[name], machine=MACHINE).stage_bytes
    with_clip = plan(CATALOG[name], machine=MACHINE, from_clip=True).stage_bytes
    assert with_clip["encode"] >= max(without["encode"], with_clip["decode"])
    assert with_clip["denoise"] == without["denoise"]
    assert with_clip["decode"] == without["decode"]
