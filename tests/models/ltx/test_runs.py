"""Runs of LTX-Video: stopped and gone on with, told of, shown, decoded again, joined to others."""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import signal
import threading

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import CancelledError
from mlxvid.generate import main
from mlxvid.media.clip import Clip
from mlxvid.models.ltx.keys import key_of
from mlxvid.run import checkpoint
from mlxvid.run.latents import read_latents

pytest.importorskip("diffusers")
from .pipelines import PROMPT, pictures  # noqa: E402

FIRST, LATER = pictures(2, 96, 64)
CLIP = np.stack(pictures(9, 96, 64, seed=1))
SMALL = dict(width=96, height=64, frames=17, seed=3)
# What is held is shown with noise in every step.
GIVEN = {0: FIRST, 8: CLIP}
# The release, how many steps each pass then has, and settings.
RUNS = {
    "one pass": ("0.9.5", [3], dict(steps=3)),
    "two passes": ("0.9.8-2b-distilled", [4, 2], dict(steps=4)),
    "two passes, given": ("0.9.8-2b-distilled", [3, 1], dict(steps=3, keyframes=GIVEN)),
    "fresh noise, given": (
        "0.9.6-distilled",
        [3],
        dict(steps=3, keyframes={0: (FIRST, 0.3), 11: LATER}),
    ),
}


@pytest.fixture(params=RUNS)
def run(request, folder_of):
    """A pipeline, the steps of its passes, and what it is to make."""
    release, steps, settings = RUNS[request.param]
    return mlxvid.load(str(folder_of(release))), steps, {**SMALL, **settings}


def told(seen: list) -> list[int]:
    """The steps that were told of."""
    return [progress.step for progress in seen if progress.stage == "denoise"]


def test_stopped_after_each_step_and_gone_on_with_bit_for_bit(run, monkeypatch, own_cache):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0)
    pipe, steps, settings = run
    seen: list = []
    whole = pipe.generate(PROMPT, **settings, on_progress=seen.append).frames
    total = sum(steps)
    assert told(seen) == list(range(total + 1))
    assert {progress.total for progress in seen if progress.stage == "denoise"} == {total}
    for stop in range(1, total + 1):
        cancel = threading.Event()
        seen = []

        def on_progress(progress, stop=stop, cancel=cancel, seen=seen):
            seen.append(progress)
            if (progress.stage, progress.step) == ("denoise", stop):
                cancel.set()

        with pytest.raises(CancelledError, match="`resume`"):
            pipe.generate(
                PROMPT, **settings, resume=stop > 1, on_progress=on_progress, cancel=cancel
            )
        assert told(seen) == [stop - 1, stop]
    clip = pipe.generate(PROMPT, **settings, resume=True)
    assert np.array_equal(clip.frames, whole) and whole.std() > 5


def test_what_is_kept_is_decoded_to_the_same_clip(run):
    pipe, _, settings = run
    clip = pipe.generate(PROMPT, **settings)
    again = pipe.decode_saved(clip.kept.path)
    assert np.array_equal(again.frames, clip.frames)
    assert again.fps == clip.fps


def test_previews_are_of_the_size_of_the_pass(folder_of):
    sizes = []

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step:
            sizes.append(progress.preview().shape)

    pipe = mlxvid.load(str(folder_of("0.9.8-2b-distilled")))
    clip = pipe.generate(PROMPT, **SMALL, steps=4, keyframes=GIVEN, on_progress=on_progress)
    assert sizes == 4 * [(17, 32, 32, 3)] + 2 * [(17, 64, 64, 3)]  # two thirds of 96, downwards
    assert clip.frames.shape == (17, 64, 96, 3)


# --- other clips ---------------------------------------------------------------------------------

OTHER = np.stack(pictures(33, 96, 64, seed=2))
EXACT = {"prepare": False, "image_noise": 0, "stg": 0}


def latents_of(clip: Clip) -> np.ndarray:
    return np.array(read_latents(clip.kept.path)[0])


def encoded(pipe, frames: np.ndarray) -> np.ndarray:
    pixels = mx.array(frames).astype(mx.float32)[None] / 127.5 - 1
    return np.array(pipe.model.network("vae").sample(pixels, key_of(SMALL["seed"], "encode", 0)))


@pytest.mark.parametrize("how", ["extend", "join"])
def test_the_shared_frames_of_another_clip_come_back(how, folder_of):
    """Of 25 the four latent frames; of a clip that begins later the last two, since the first two
    have tokens beside the clip's.
    """
    pipe = mlxvid.load(str(folder_of("0.9.5")))
    settings = {**SMALL, "frames": 41, "steps": 2, "guidance": 1.0, "options": EXACT}
    clip = pipe.generate(PROMPT, **settings, **{how: OTHER})
    assert len(clip.frames) == 41
    latents = latents_of(clip)
    if how == "extend":
        held = slice(0, 4)
        wanted = encoded(pipe, OTHER[-25:])
    else:
        held = slice(4, 6)
        wanted = encoded(pipe, OTHER[:25])[:, 2:]
    assert np.abs(latents[:, held] - wanted).max() < 1e-5
    free = np.delete(latents, held, axis=1)
    assert free.std() > 0.1


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # main is made for a process of its own


def test_a_clip_with_clips_in_it_is_repeated_and_decoded_bit_for_bit(folder_of, here, capsys):
    Clip(CLIP, 24).save("given.mp4")
    Clip(CLIP[:1], 24).save("first.png")
    folder = str(folder_of("0.9.8-2b-distilled"))
    size = ["--width", "96", "--height", "64", "--frames", "17", "--steps", "3", "--seed", "5"]
    given = ["--image", "first.png", "--keyframe", "given.mp4@8:0.7"]
    quiet = ["--progress", "none"]
    code = main(["--model", folder, "--prompt", PROMPT, *size, *given, *quiet, "-o", "one/"])
    assert code == 0, capsys.readouterr().err
    assert main(["--from", "one", *quiet, "-o", "two/"]) == 0, capsys.readouterr().err
    one = Clip.load("one")
    two = Clip.load("two")
    assert np.array_equal(one.frames, two.frames) and one.settings == two.settings
    assert one.settings["keyframes"]["8"] == [str(here / "given.mp4"), 0.7]
