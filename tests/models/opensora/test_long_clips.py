"""Open-Sora's lengths and sizes, clips that go on from others, and long ones made in pieces."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from itertools import pairwise

import numpy as np
import pytest

from mlxvid.catalog import CATALOG
from mlxvid.cli.plan_text import plan_text
from mlxvid.errors import CancelledError, SettingError
from mlxvid.generate import main
from mlxvid.media.clip import Clip
from mlxvid.model.machine import GIB, this_machine
from mlxvid.models.opensora.long import pieces
from mlxvid.run import checkpoint
from mlxvid.run.latents import read_latents
from mlxvid.run.planning import plan
from tests.facts import facts
from tests.run.resuming import saved_runs

SMALL = {"width": 48, "height": 32, "steps": 2}
CARD = CATALOG["opensora-1.2"]
GEOMETRY = CARD.geometry


def noisy(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


# --- lengths and sizes ---------------------------------------------------------------------------


def test_lengths():
    good = [n for n in range(1, 60) if GEOMETRY.round_frames(n) == (n, None)]
    assert good == [1, 5, 9, 13, 17, 18, 22, 26, 30, 34, 35, 39, 43, 47, 51, 52, 56]
    assert [GEOMETRY.latent_frames(n) for n in good] == list(range(1, 18))
    assert [GEOMETRY.pixel_frames(n) for n in range(1, 18)] == good


@pytest.mark.parametrize(
    ("frames", "rounded"),
    [(2, 1), (3, 1), (4, 5), (16, 17), (19, 18), (20, 18), (21, 22), (24, 22)],
)
def test_other_lengths_are_rounded_and_said(frames, rounded):
    nearest, note = GEOMETRY.round_frames(frames)
    assert nearest == rounded
    assert re.search(facts(frames, rounded, "17k", "1, 5, … 13 more"), note)


def test_sizes():
    width, height, (note,) = GEOMETRY.round_size(854, 480)
    assert (width, height) == (854, 480)
    assert re.search(facts("854x480", "848x480", "multiples of 8"), note)
    assert GEOMETRY.latent_shape(51, 854, 480) == (15, 60, 106)
    assert GEOMETRY.token_grid(51, 426, 240) == (15, 15, 27)
    assert GEOMETRY.named_size("240p", None) == (426, 240)
    assert GEOMETRY.named_size("720p", "9:16") == (720, 1280)


def test_a_size_off_the_grid_is_kept_for_the_model_and_cut_for_the_frames(pipe, caplog):
    with caplog.at_level(logging.WARNING):
        clip = pipe.generate("a star", seed=1, width=50, height=35, frames=5, steps=1)
    assert clip.frames.shape == (5, 32, 48, 3)
    assert (clip.settings["width"], clip.settings["height"]) == (50, 35)
    assert any("50x35" in message and "48x32" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"width": 48, "height": 7}, ("48x7", "too small", "8 pixels")),
        ({"width": 0, "height": 48}, ("`width`", 1, 16384, "not 0")),
    ],
)
def test_sizes_that_no_clip_has(pipe, size, words):
    with pytest.raises(SettingError, match=facts(*words)):
        pipe.generate("a star", **size)


@pytest.mark.parametrize(
    ("frame", "slot"),
    [
        (0, (0, 0)),
        (8, (0, 0)),
        (9, (5, 17)),
        (17, (5, 17)),
        (25, (5, 17)),
        (26, (10, 34)),
        (34, (10, 34)),
        (50, (10, 34)),
    ],
)
def test_where_pictures_can_be(frame, slot):
    """As the reference aligns them: at the beginnings of whole chunks."""
    assert GEOMETRY.slot(frame, 51) == slot


def test_where_a_picture_can_be_in_a_picture():
    assert GEOMETRY.slot(0, 1) == (0, 0)


# --- clips that go on from others ----------------------------------------------------------------

CLIP = noisy(1, 20, 32, 48)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"extend": CLIP[:5]}, ("`extend`", "fewer frames than the 17", "longer")),
        ({"extend": CLIP, "frames": 17}, ("17 frames", "more `frames`")),
        ({"extend": CLIP, "join": CLIP, "frames": 34}, ("34 frames", "more `frames`")),
        ({"join": CLIP, "frames": 47}, ("multiple of 17", "not 47", "51 frames")),
        ({"join": CLIP, "frames": 18}, ("multiple of 17", "not 18", "34 frames")),
        ({"extend": CLIP, "join": CLIP, "frames": 39}, ("multiple of 17", "not 39", "51 frames")),
        ({"extend": CLIP, "image": CLIP[0], "frames": 51}, ("Two pictures", "frame 0")),
    ],
)
def test_wrong_joints(pipe, settings, words):
    with pytest.raises(SettingError, match=facts(*words)):
        pipe.generate("a star", **settings, **SMALL)


def test_extending_and_connecting_files(folder, tmp_path, monkeypatch):
    """The clips' paths are in the settings, so that --from repeats it; with one clip at both ends
    the three make a loop.
    """
    monkeypatch.chdir(tmp_path)
    Clip(CLIP, 24).save("before.mp4")
    joints = "--extend before.mp4 --join before.mp4 --frames 51 --steps 1 --seed 1".split()
    model = ["--model", str(folder)]
    assert main([*model, "--prompt", "a star", *joints, "-o", "between.mp4"]) == 0
    assert main(["--from", "between.mp4", "-o", "again.mp4"]) == 0
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # main is made for a process of its own
    between = Clip.load("between.mp4")
    again = Clip.load("again.mp4")
    before = os.path.abspath("before.mp4")
    assert between.settings["extend"] == between.settings["join"] == before
    assert (between.frames == again.frames).all()
    assert between.frames.shape == (51, 32, 48, 3)


def test_an_edit_ratio_lets_given_frames_change(pipe):
    settings = {"frames": 17, "seed": 1, "width": 48, "height": 32, "steps": 5}

    def latents(**given) -> np.ndarray:
        clip = pipe.generate("a star", **settings, **given)
        return np.array(read_latents(clip.kept.path)[0])

    image = noisy(1, 32, 48)
    kept, edited, made = (latents(image=image, options={"edit": x}) for x in (0, 0.4, 1))
    assert np.abs(edited - kept)[:, 0].min() > 0
    assert np.abs(edited - made)[:, 0].min() > 0
    assert np.abs(edited - kept)[:, 0].mean() < np.abs(made - kept)[:, 0].mean()
    assert np.abs(made - latents()).max() < 1e-3  # what is made anew is not given


# --- long clips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("latents", [1, 5, 9, 10, 11, 24, 25, 26, 120, 212])
@pytest.mark.parametrize("longest", [10, 25, 120])
def test_pieces_cover_a_clip_and_overlap_by_a_chunk(latents, longest):
    made = pieces(latents, 5, longest)
    assert made[0].start == 0
    assert made[-1].stop == latents
    for earlier, later in pairwise(made):
        assert later.start == earlier.stop - 5
    for piece in made:
        assert len(piece) <= longest
        assert piece.start % 5 == 0
    assert all(len(piece) > 5 for piece in made[1:])
    assert len(made) == 1 or len(made) - 1 < latents / (longest - 5)


def test_a_long_clip_is_planned_by_its_pieces():
    machine = this_machine(64 * GIB)
    assert GEOMETRY.at_once(719, 424, 240) == 408
    assert GEOMETRY.at_once(719, 1280, 720) == 102
    long = plan(CARD, frames=799, machine=machine)
    whole = plan(CARD, frames=408, machine=machine)
    assert long.stage_bytes["denoise"] == whole.stage_bytes["denoise"]
    assert long.at_once == 408
    assert re.search("(?m)^pieces +408 frames at a time", plan_text(long))
    assert not re.search("(?m)^pieces", plan_text(whole))


def test_a_long_clip_is_told_of_as_one_and_goes_on_where_it_stopped(
    pipe, short_pieces, monkeypatch
):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    steps = []
    previews = []

    def on_progress(progress):
        if progress.stage == "denoise":
            steps.append((progress.step, progress.total))
            if progress.step:
                previews.append(len(progress.preview()))

    settings = {"frames": 51, "seed": 5, **SMALL}
    whole = pipe.generate("a star", on_progress=on_progress, **settings)
    assert steps == [(n, 4) for n in range(5)]
    assert previews == [34, 34, 51, 51]
    assert whole.frames.shape == (51, 32, 48, 3)
    for last in (1, 2, 3):
        cancel = threading.Event()

        def stop(progress, last=last, cancel=cancel):
            if progress.stage == "denoise" and progress.step == last:
                cancel.set()

        with pytest.raises(CancelledError):
            pipe.generate("a star", on_progress=stop, cancel=cancel, **settings)
        seen = []
        again = pipe.generate("a star", resume=True, on_progress=seen.append, **settings)
        began = next(progress for progress in seen if progress.stage == "denoise")
        assert began.step == last
        assert (again.frames == whole.frames).all()
    assert saved_runs() == []
