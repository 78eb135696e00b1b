"""The loop: seeds, settings, guidance, pictures, progress, previews, stopping, and results that
are no clips.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
import subprocess
import sys
import threading

import mlx.core as mx
import numpy as np
import pytest

import mlxvid
from mlxvid.errors import CancelledError, DegenerateClipError, DoesNotFitError, SettingError
from mlxvid.model import base, memory
from mlxvid.model.machine import Machine
from mlxvid.model.settings import loading, making
from mlxvid.run import pipeline
from mlxvid.run.complete import complete
from mlxvid.run.noise import noise_of
from tests.facts import facts

OUT_OF_MEMORY = (
    "[metal::malloc] Attempting to allocate 64000000000 bytes which is greater than the maximum "
    "allowed buffer size"
)


def digest(clip) -> str:
    return hashlib.sha256(clip.frames.tobytes()).hexdigest()


def picture(value: int = 90) -> np.ndarray:
    return np.full((32, 32, 3), value, np.uint8)


def test_a_clip(tiny):
    clip = tiny.generate("a red ball", seed=1)
    assert clip.frames.shape == (9, 32, 32, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.fps == 8
    assert json.loads(json.dumps(clip.settings)) == clip.settings
    expected = {
        "prompt": "a red ball",
        "seed": 1,
        "frames": 9,
        "steps": 3,
        "sampler": "euler",
        "attention": "factored",
        "keyframes": {},
    }
    assert expected.items() <= clip.settings.items()
    assert clip.settings["mlxvid"] == mlxvid.__version__
    assert clip.settings["model"] == tiny.name
    assert clip.settings["dtype"] == "float32"


def test_one_frame_is_a_picture(tiny):
    for attention in ("factored", "full"):
        clip = tiny.generate("a red ball", seed=1, frames=1, attention=attention)
        assert clip.frames.shape == (1, 32, 32, 3)
        again = tiny.generate("a red ball", seed=1, frames=1)
        assert np.abs(clip.frames.astype(int) - again.frames).max() <= 1


@pytest.mark.parametrize(("width", "height", "frames"), [(16, 16, 1), (48, 16, 5), (16, 64, 21)])
def test_any_size_and_length(tiny, width, height, frames):
    clip = tiny.generate("a red ball", seed=1, width=width, height=height, frames=frames, steps=1)
    assert clip.frames.shape == (frames, height, width, 3)


def test_the_same_seed_gives_the_same_clip_in_another_process(tiny, tiny_folder):
    code = f"""
import hashlib, mlxvid
clip = mlxvid.load({str(tiny_folder)!r}).generate("a red ball", seed=7)
print(hashlib.sha256(clip.frames.tobytes()).hexdigest())
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    first = tiny.generate("a red ball", seed=7)
    assert run.stdout.strip() == digest(first) == digest(tiny.generate("a red ball", seed=7))
    assert digest(first) != digest(tiny.generate("a red ball", seed=8))


def test_noise_depends_on_seed_and_shape_alone(tiny_folder):
    """Whatever the weights' type, and whatever was drawn before."""
    noises: list[mx.array] = []
    for dtype in ("float32", "bfloat16", "float16"):
        pipe = mlxvid.load(str(tiny_folder), dtype=dtype)
        mx.random.seed(len(noises))
        request = complete(pipe.model.card, {"prompt": "a red ball", "seed": 5, "steps": 1})
        noises.append(noise_of(pipe.model, request, None))
    assert {noise.dtype for noise in noises} == {mx.float32}
    assert noises[0].shape == (1, 3, 4, 4, 4)
    assert mx.array_equal(noises[0], noises[1])
    assert mx.array_equal(noises[0], noises[2])


def test_the_stream_of_noise_stays_what_it_is(tiny):
    """A seed written down today means the same clip tomorrow."""
    request = complete(tiny.model.card, {"prompt": "a red ball", "seed": 5})
    noise = noise_of(tiny.model, request, None)[0, 0, 0, :, 0]
    assert np.allclose(noise, [-0.914429, 0.539462, -1.25452, -0.320043], atol=1e-5)


def test_latents_stand_in_for_the_seed(tiny):
    noise = mx.random.normal((1, 4, 3, 4, 4), dtype=mx.float32, key=mx.random.key(5))
    clip = tiny.generate("a red ball", latents=np.array(noise))
    assert digest(clip) == digest(tiny.generate("a red ball", seed=5))
    assert clip.settings["latents"] == "given"
    shapes = facts("`latents`", (1, 3, 4, 4, 4), (1, 4, 3, 4, 4), "[1, C, F, H, W]")
    with pytest.raises(SettingError, match=shapes):
        tiny.generate("a red ball", latents=np.zeros((1, 3, 4, 4, 4), np.float32))


def test_prompt_negative_prompt_and_guidance_matter(tiny):
    changes = [
        {},
        {"negative_prompt": "a blue star"},
        {"guidance": 1},
        {"guidance": 9.0},
        {"sampler": "heun"},
        {"attention": "spatial"},
    ]
    clips = [tiny.generate("a red ball", seed=1, **settings) for settings in changes]
    clips.append(tiny.generate("a blue star", seed=1))
    assert len({digest(clip) for clip in clips}) == len(clips)


def test_guidance_1_is_the_model_alone_whatever_the_negative_prompt(tiny):
    with_it, without = (
        tiny.generate("a red ball", negative_prompt=text, seed=1, guidance=1)
        for text in ("two green rings", "")
    )
    assert digest(with_it) == digest(without)


@pytest.mark.parametrize("reason", ["many tokens", "little memory"])
def test_guidance_in_one_batch_equals_two_passes(tiny, monkeypatch, reason):
    rows: list[int] = []
    predict = tiny.model.predict

    def record(x, *rest):
        rows.append(len(x))
        return predict(x, *rest)

    tiny.model.predict = record
    settings = {"negative_prompt": "two green rings", "seed": 1}
    batched = tiny.generate("a red ball", **settings).frames.astype(int)
    calls = len(rows)
    if reason == "many tokens":
        monkeypatch.setattr(memory, "BATCHED_TOKENS", 0)
    else:
        small = Machine("a small one", 2**20, 2**19, False)
        monkeypatch.setattr(base, "this_machine", lambda: small)
    one_by_one = tiny.generate("a red ball", **settings).frames
    assert np.abs(one_by_one - batched).max() <= 1
    assert rows == [2] * calls + [1] * 2 * calls


def test_pictures_steer_the_clip_and_are_in_its_settings(tiny):
    plain = tiny.generate("a red ball", seed=1).frames.astype(int)
    clip = tiny.generate("a red ball", seed=1, image=picture(), last_image=picture(200))
    assert clip.settings["keyframes"] == {"0": "a picture in memory", "8": "a picture in memory"}
    assert np.abs(clip.frames - plain).max() > 0


def test_progress_runs_through_the_stages(tiny):
    seen = []
    tiny.generate("a red ball", seed=1, steps=2, image=picture(), on_progress=seen.append)
    stages = list(dict.fromkeys(p.stage for p in seen))
    assert stages == ["encode", "denoise", "decode"]
    for stage in stages:
        told = [p for p in seen if p.stage == stage]
        assert told[0].step == 0
        assert told[-1].step == told[-1].total
    for p in seen:
        assert (p.remaining is None) == (p.step == 0)
        assert p.elapsed >= 0
    denoise = [p for p in seen if p.stage == "denoise"]
    assert [p.step for p in denoise] == [0, 1, 2]
    assert denoise[-1].remaining == 0


def test_previews_come_from_denoising_and_end_as_the_clip(tiny):
    previews = {}

    def on_progress(progress):
        frames = progress.preview()
        if frames is not None:
            previews[progress.stage, progress.step] = frames

    clip = tiny.generate("a red ball", seed=1, on_progress=on_progress)
    assert list(previews) == [("denoise", 1), ("denoise", 2), ("denoise", 3)]
    first = previews["denoise", 1]
    assert first.shape == clip.frames.shape
    assert first.dtype == np.uint8
    assert not np.array_equal(first, clip.frames)
    assert np.array_equal(previews["denoise", 3], clip.frames)


@pytest.mark.parametrize("stage", ["encode", "denoise"])
def test_cancelling_stops_within_a_step_and_keeps_nothing(tiny, stage, own_cache):
    cancel = threading.Event()
    seen = []

    def on_progress(progress):
        seen.append(progress)
        if progress.stage == stage and progress.step:
            cancel.set()

    with pytest.raises(CancelledError, match=facts("Stopped", "nothing was written")):
        tiny.generate("a red ball", seed=1, steps=50, on_progress=on_progress, cancel=cancel)
    assert seen[-1].stage == stage
    assert len([p for p in seen if p.stage == stage and p.step > 0]) == 1
    assert not (own_cache / "latents").exists()
    assert not (own_cache / "runs").exists()


def test_an_error_in_on_progress_comes_out_as_it_is(tiny):
    def on_progress(progress):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        tiny.generate("a red ball", on_progress=on_progress)


def poison(tiny, component: str, name: str, value: float) -> None:
    """Fill a component's weight with a value, as a broken checkpoint or an overflow would."""
    network = tiny.model.network(component)
    *modules, weight = name.split(".")
    for part in modules:
        network = network[int(part)] if part.isdigit() else network[part]
    network[weight] = mx.full(network[weight].shape, value)


def kept_of(error, own_cache) -> tuple[mx.array, dict]:
    """The latents that the error speaks of, and their settings."""
    message = str(error)
    assert str(error.latents_path) in message and "kept" in message
    assert "\n" not in message
    assert os.listdir(own_cache / "latents") == [os.path.basename(error.latents_path)]
    arrays, metadata = mx.load(error.latents_path, return_metadata=True)
    return arrays["latents"], json.loads(metadata["settings"])


def test_a_denoiser_that_is_not_finite_is_an_error_and_the_last_valid_latents_are_kept(
    tiny, own_cache
):
    poison(tiny, "transformer", "blocks.1.ff.linear_1.weight", float("nan"))
    with pytest.raises(DegenerateClipError, match=facts("not finite", "step 1 of 3")) as caught:
        tiny.generate("a red ball", seed=5)
    latents, settings = kept_of(caught.value, own_cache)
    noise = mx.random.normal((1, 4, 3, 4, 4), dtype=mx.float32, key=mx.random.key(5))
    assert mx.array_equal(latents, noise.transpose(0, 2, 3, 4, 1))
    assert settings["steps_done"] == 0
    assert settings["prompt"] == "a red ball"


def test_a_decoder_that_is_not_finite_is_an_error_and_the_latents_are_kept(tiny, own_cache):
    poison(tiny, "vae", "decoder.up.bias", float("inf"))
    with pytest.raises(DegenerateClipError, match=facts("frames", "not finite")) as caught:
        tiny.generate("a red ball", seed=5)
    latents, settings = kept_of(caught.value, own_cache)
    assert latents.shape == (1, 3, 4, 4, 4)
    assert mx.isfinite(latents).all()
    assert settings["seed"] == 5


@pytest.mark.parametrize("value", [-2.0, 0.0, 1.5])
def test_a_black_grey_or_white_clip_is_an_error_and_the_latents_are_kept(tiny, own_cache, value):
    poison(tiny, "vae", "decoder.conv_out.weight", 0.0)
    poison(tiny, "vae", "decoder.conv_out.bias", value)
    with pytest.raises(DegenerateClipError, match="single colour") as caught:
        tiny.generate("a red ball", seed=5)
    assert kept_of(caught.value, own_cache)[0].shape == (1, 3, 4, 4, 4)


def test_kept_latents_decode_to_the_clip(tiny, tiny_folder, own_cache):
    poison(tiny, "vae", "decoder.up.bias", float("nan"))
    with pytest.raises(DegenerateClipError) as caught:
        tiny.generate("a red ball", seed=5)
    kept, _ = kept_of(caught.value, own_cache)
    healthy = mlxvid.load(str(tiny_folder))
    frames = np.concatenate([pipeline.to_uint8(part) for part in healthy.model.decode(kept)])
    assert np.array_equal(frames, healthy.generate("a red ball", seed=5).frames)


def test_memory_that_runs_out_is_one_sentence(tiny, monkeypatch):
    def predict(*_):
        raise RuntimeError(OUT_OF_MEMORY)

    # What Metal raises; without Metal there is no memory to exhaust safely.
    monkeypatch.setattr(tiny.model, "predict", predict)
    remedies = facts("out of memory", "smaller or shorter", "close other programs")
    with pytest.raises(DoesNotFitError, match=remedies):
        tiny.generate("a red ball")


def test_memory_that_runs_out_midway_says_that_the_run_can_go_on(tiny, monkeypatch, own_cache):
    monkeypatch.setattr("mlxvid.run.checkpoint.CHECKPOINT_SECONDS", 0.0)
    predict = tiny.model.predict
    calls: list[float] = []

    def failing(x, time, *rest):
        calls.append(time)
        if len(calls) == 3:
            raise RuntimeError(OUT_OF_MEMORY)
        return predict(x, time, *rest)

    monkeypatch.setattr(tiny.model, "predict", failing)
    with pytest.raises(DoesNotFitError, match=facts("out of memory", "`resume` goes on")):
        tiny.generate("a red ball", seed=1, steps=7)
    assert len(os.listdir(own_cache / "runs")) == 1


def test_reconstruct_goes_through_the_vae(tiny):
    frames = tiny.generate("a red ball", seed=1).frames
    again = tiny.reconstruct(frames)
    assert again.shape == frames.shape
    assert again.dtype == np.uint8


def test_to_uint8_clips_and_rounds():
    pixels = mx.array([-3.0, -1.0, -0.999, 0.0, 0.5, 1.0, 7.0])
    assert pipeline.to_uint8(pixels).tolist() == [0, 0, 0, 128, 191, 255, 255]


def test_a_given_first_frame_is_kept_whatever_the_prompt_says(tiny):
    picture = np.random.default_rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    clip = tiny.generate("a blue star", image=picture, seed=1, guidance=5.0)
    assert np.abs(clip.frames[0].astype(int) - tiny.reconstruct(picture[None])[0]).max() <= 1
    free = tiny.generate("a blue star", seed=1, guidance=5.0)
    assert np.abs(clip.frames[0].astype(int) - free.frames[0]).max() > 10


def test_the_model_s_own_negative_prompt_stands_where_none_is_given(tiny):
    card = tiny.model.card
    own = dataclasses.replace(card.defaults, negative_prompt="two green rings")
    tiny.model.card = dataclasses.replace(card, defaults=own)
    clip = tiny.generate("a red ball", seed=1)
    assert clip.settings["negative_prompt"] == "two green rings"
    clip = tiny.generate("a red ball", seed=1, negative_prompt="a star")
    assert clip.settings["negative_prompt"] == "a star"


def test_every_setting_is_in_the_signature():
    """For help() and editors."""
    parameters = inspect.signature(mlxvid.Pipeline.generate).parameters
    assert making().keys() <= parameters.keys()
    assert {"latents", "resume", "on_progress", "on_frames", "cancel"} <= parameters.keys()
    assert loading().keys().isdisjoint(parameters)


def test_frames_are_handed_out_in_order_as_they_are_decoded(tiny):
    parts: list[np.ndarray] = []
    clip = tiny.generate("a red ball", seed=1, frames=17, on_frames=parts.append)
    assert len(parts) > 1
    assert np.array_equal(np.concatenate(parts), clip.frames)
