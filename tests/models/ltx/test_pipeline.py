"""LTX-Video from prompt to frames, against Diffusers' pipelines on tiny models.

Their noise is ours: in their layout, in the order in which they draw it.
"""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import sys

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.models.ltx.keys import key_of

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers.pipelines.ltx import pipeline_ltx_condition  # noqa: E402
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition  # noqa: E402

from . import tiny as tiny_ltx  # noqa: E402
from .pipelines import (  # noqa: E402
    FPS,
    NEGATIVE,
    PROMPT,
    SEED,
    compare,
    drawn,
    noise,
    ours,
    pictures,
    ready,
)
from .reference import CHANNELS  # noqa: E402

# What the releases do and Diffusers doesn't.
PLAIN = {"stg": 0, "rescale": 0, "decode_noise": 0, "prepare": False, "upscale": False}


# --- 0.9.0 and 0.9.1 -----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["A", "B"])
def plain(request, tmp_path_factory):
    """The reference of 0.9.0 or 0.9.1, and the folder of its model."""
    pipe = tiny_ltx.pipeline(request.param, "LTXPipeline")
    # Without what is drawn for the decoder: its parity has a test of its own.
    for name, parameter in pipe.vae.named_parameters():
        if "per_channel_scale" in name:
            parameter.data.zero_()
    # Not marked: so a prompt is read as Diffusers' pipeline reads it.
    return pipe, tiny_ltx.saved(pipe, tmp_path_factory.mktemp("ltx") / request.param, None)


def options_of(pipe) -> dict:
    timed = pipe.vae.config.timestep_conditioning
    off = {name: value for name, value in PLAIN.items() if timed or "decode" not in name}
    return off | ({"decode_timestep": 0.05} if timed else {})


@pytest.mark.parametrize(
    ("width", "height", "frames", "steps", "guidance"),
    [(96, 64, 17, 4, 3.0), (64, 160, 9, 3, 1.0), (64, 64, 25, 2, 2.0)],
)
def test_prompt_to_frames(plain, width, height, frames, steps, guidance):
    pipe, folder = plain
    latents = noise(frames, width, height)
    video = pipe(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        width=width,
        height=height,
        num_frames=frames,
        frame_rate=FPS,
        num_inference_steps=steps,
        guidance_scale=guidance,
        latents=torch.from_numpy(latents).flatten(2).transpose(1, 2),
        decode_timestep=0.05,
        decode_noise_scale=0.0,
        output_type="np",
    ).frames[0]
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        negative_prompt=NEGATIVE,
        width=width,
        height=height,
        frames=frames,
        fps=FPS,
        steps=steps,
        guidance=guidance,
        latents=latents,
        options=options_of(pipe),
        seed=SEED,
    )
    compare(clip, video)


def test_a_picture_to_frames(plain, monkeypatch):
    pipe, folder = plain
    (picture,) = pictures(1, 96, 64)
    latents = noise(17, 96, 64)
    reference = tiny_ltx.from_picture(pipe)
    ours(monkeypatch, sys.modules[type(reference).__module__], [latents])
    video = reference(
        image=torch.from_numpy(picture).permute(2, 0, 1)[None] / 255,
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        width=96,
        height=64,
        num_frames=17,
        frame_rate=FPS,
        num_inference_steps=4,
        guidance_scale=3.0,
        decode_timestep=0.05,
        decode_noise_scale=0.0,
        output_type="np",
    ).frames[0]
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        negative_prompt=NEGATIVE,
        image=picture,
        width=96,
        height=64,
        frames=17,
        fps=FPS,
        steps=4,
        guidance=3.0,
        latents=latents,
        options=options_of(pipe),
        seed=SEED,
    )
    compare(clip, video)


# --- 0.9.5 and later: pictures and clips at any frame --------------------------------------------


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory):
    pipe = tiny_ltx.pipeline("C", "LTXConditionPipeline")
    folder = tiny_ltx.saved(pipe, tmp_path_factory.mktemp("ltx") / "c", "0.9.5")
    return pipe, folder


# Guidance, the noise on what is given and held, and what is given: (frame, frames, strength).
CASES = {
    "from text": (3.0, 0.0, []),
    "without guidance": (1.0, 0.0, []),
    "a first picture": (3.0, 0.15, [(0, 1, 1.0)]),
    "a first picture, half": (1.0, 0.15, [(0, 1, 0.5)]),
    "a later picture": (2.0, 0.0, [(11, 1, 0.8)]),
    "a first clip": (1.0, 0.0, [(0, 9, 1.0)]),
    "a later clip": (2.0, 0.15, [(8, 17, 0.7)]),
    "several, clean": (3.0, 0.0, [(0, 1, 1.0), (5, 1, 0.4), (8, 9, 1.0)]),
    "several, noisy": (1.0, 0.15, [(0, 1, 1.0), (5, 1, 0.4), (8, 9, 1.0)]),
}


@pytest.mark.parametrize("case", CASES)
def test_given_to_frames(conditioned, monkeypatch, case):
    pipe, folder = conditioned
    guidance, noisy, given = CASES[case]
    width, height, frames, steps = 96, 64, 25, 4
    latents = noise(frames, width, height)
    conditions = []
    keyframes = {}
    draws: list = [latents]
    tokens = 4 * 6
    keys = mx.random.split(key_of(SEED, "given", 0), max(len(given), 1))
    for i, (frame, count, strength) in enumerate(given):
        stills = pictures(count, width, height, i)
        conditions.append(
            LTXVideoCondition(video=ready(stills), frame_index=frame, strength=strength)
        )
        keyframes[frame] = (stills[0] if count == 1 else np.stack(stills), strength)
        if frame:
            ahead = min(2, (count - 1) // 8 + 1)
            shape = (1, ahead, height // 32, width // 32, CHANNELS)
            extra = np.array(mx.random.normal(shape, key=keys[i]))
            draws.append(extra.transpose(0, 4, 1, 2, 3))
            tokens += ahead * 6
    if noisy:
        shape = (1, tokens, CHANNELS)
        draws += [drawn(shape, "renoise", i) for i in range(steps)]
    ours(monkeypatch, pipeline_ltx_condition, draws)
    video = pipe(
        conditions=conditions or None,
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        width=width,
        height=height,
        num_frames=frames,
        frame_rate=FPS,
        num_inference_steps=steps,
        guidance_scale=guidance,
        image_cond_noise_scale=noisy,
        decode_timestep=0.05,
        decode_noise_scale=0.0,
        output_type="np",
    ).frames[0]
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        negative_prompt=NEGATIVE,
        keyframes=keyframes,
        width=width,
        height=height,
        frames=frames,
        fps=FPS,
        steps=steps,
        guidance=guidance,
        latents=latents,
        options={**PLAIN, "decode_timestep": 0.05, "image_noise": noisy},
        seed=SEED,
    )
    compare(clip, video)


def test_a_clip_made_anew(conditioned, monkeypatch):
    """With less of its strength than all: noised to where the last steps begin."""
    pipe, folder = conditioned
    latents = noise(9, 96, 64)
    stills = pictures(9, 96, 64)
    clip = 2 * ready(stills).transpose(0, 1)[None] - 1
    shape = (1, -1, 1, 1, 1)
    with torch.no_grad():
        encoded = pipe.vae.encode(clip).latent_dist.mode()
    encoded = (encoded - pipe.vae.latents_mean.view(shape)) / pipe.vae.latents_std.view(shape)
    ours(monkeypatch, pipeline_ltx_condition, [latents])
    shared = dict(prompt=PROMPT, width=96, height=64, guidance_scale=1.0)
    video = pipe(
        **shared,
        num_frames=9,
        frame_rate=FPS,
        num_inference_steps=5,
        latents=encoded,
        denoise_strength=0.6,
        decode_timestep=0.05,
        decode_noise_scale=0.0,
        output_type="np",
    ).frames[0]
    made = mlxvid.load(str(folder)).generate(
        PROMPT,
        video=np.stack(stills),
        strength=0.6,
        width=96,
        height=64,
        fps=FPS,
        steps=5,
        guidance=1.0,
        latents=latents,
        options={**PLAIN, "decode_timestep": 0.05},
        seed=SEED,
    )
    compare(made, video)
