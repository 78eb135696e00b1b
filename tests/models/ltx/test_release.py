"""LTX-Video from prompt to frames where Diffusers has no pipeline, or another than the release: by
the release's formulas, over tiny networks of Diffusers'.
"""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.models.ltx.keys import key_of

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule  # noqa: E402

from . import tiny as tiny_ltx  # noqa: E402
from .pipelines import (  # noqa: E402
    FPS,
    NEGATIVE,
    PROMPT,
    SEED,
    compare,
    drawn,
    noise,
    pictures,
    ready,
)
from .reference import CHANNELS, TheSameNoise  # noqa: E402
from .release import Given, Strengths, decoded, fresh_noise, sampled  # noqa: E402

SHARED = dict(negative_prompt=NEGATIVE, fps=FPS, seed=SEED)

# --- guidance that changes with time -------------------------------------------------------------

# configs/ltxv-13b-0.9.8-dev.yaml: the first pass, and the second.
TIMES = (1.0, 0.996, 0.9933, 0.9850, 0.9767, 0.9008, 0.6180)
COURSE = (
    Strengths(1, 0, 1, ()),
    Strengths(1, 0, 1, (11, 25, 35, 39)),
    Strengths(6, 4, 0.5, (22, 35, 39)),
    Strengths(8, 4, 0.5, (28,)),
    Strengths(6, 4, 1, (28,)),
    Strengths(1, 2, 1, (28,)),
    Strengths(1, 1, 1, (28,)),
)
SECOND = Strengths(1, 1, 1, (27,))


def by_time(time: float) -> Strengths:
    below = [number for number, start in enumerate(TIMES) if start <= time]
    return COURSE[below[0] if below else -1]


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    """13B-dev with as many blocks as its guidance perturbs."""
    pipe = tiny_ltx.pipeline("C", "LTXConditionPipeline", blocks=40)
    network = tiny_ltx.upsampler()
    folder = tmp_path_factory.mktemp("ltx") / "dev"
    return pipe, network, tiny_ltx.saved(pipe, folder, "0.9.8-13b-dev", network)


def test_two_passes_with_the_guidance_of_13b_dev(dev):
    pipe, network, folder = dev
    steps = 8  # of these as of the 30 a tenth is left out, and 17 in 30 of the second pass
    times = linear_quadratic_schedule(steps).tolist()
    latents = noise(9, 96, 96)
    texts = (PROMPT, NEGATIVE)
    small = sampled(pipe, texts, torch.from_numpy(latents), times[:-1], by_time, star=True)
    larger = tiny_ltx.upsampling(pipe, network)(
        latents=small, adain_factor=1.0, width=192, height=192, output_type="latent"
    ).frames
    rest = times[5:]
    again = rest[0] * drawn(larger.shape, "second pass") + (1 - rest[0]) * larger
    result = sampled(pipe, texts, again, rest, lambda time: SECOND, star=True)
    clip = mlxvid.load(str(folder)).generate(
        PROMPT, width=160, height=160, frames=9, steps=steps, latents=latents, **SHARED
    )
    assert clip.settings["guidance"] == 8 and clip.settings["options"]["stg"] == 4
    compare(clip, decoded(pipe, result, (160, 160)))


# --- 0.9.6-distilled -----------------------------------------------------------------------------

DISTILLED = (1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725, 0.4219)


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    pipe = tiny_ltx.pipeline("C", "LTXConditionPipeline")
    folder = tmp_path_factory.mktemp("ltx") / "distilled"
    return pipe, tiny_ltx.saved(pipe, folder, "0.9.6-distilled")


@torch.no_grad()
def encoded(pipe, still: np.ndarray, number: int) -> torch.Tensor:
    """A picture's latents, as ours draws them."""
    pixels = ready([still]).transpose(0, 1)[None] * 2 - 1
    found = pipe.vae.encode(pixels).latent_dist
    z = found.mean + found.std * drawn(found.mean.shape, "encode", number)
    shape = (1, -1, 1, 1, 1)
    return (z - pipe.vae.latents_mean.view(shape)) / pipe.vae.latents_std.view(shape)


def test_fresh_noise_in_every_step(distilled):
    pipe, folder = distilled
    latents = noise(17, 96, 64)
    result = sampled(pipe, [PROMPT], torch.from_numpy(latents), DISTILLED, fresh=fresh_noise)
    clip = mlxvid.load(str(folder)).generate(
        PROMPT, width=96, height=64, frames=17, latents=latents, **SHARED
    )
    assert clip.settings["sampler"] == "euler-stochastic" and clip.settings["steps"] == 8
    compare(clip, decoded(pipe, result))


def test_fresh_noise_beside_pictures(distilled):
    pipe, folder = distilled
    latents = noise(17, 96, 64)
    first, later = pictures(2, 96, 64)
    x = torch.from_numpy(latents).clone()
    x[:, :, :1] = encoded(pipe, first, 0)
    key = mx.random.split(key_of(SEED, "given", 0), 2)[1]
    extra = np.array(mx.random.normal((1, 1, 2, 3, CHANNELS), key=key)).transpose(0, 4, 1, 2, 3)
    ahead = torch.lerp(torch.from_numpy(extra), encoded(pipe, later, 1), 0.5)
    result = sampled(
        pipe,
        [PROMPT],
        x,
        DISTILLED,
        ahead=[Given(ahead, 10, 0.5)],
        held=torch.tensor([1.0, 0.0, 0.0]),
        renoise=lambda i, shape: 0.15 * drawn(shape, "renoise", i),
        fresh=fresh_noise,
    )
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        keyframes={0: first, 10: (later, 0.5)},
        width=96,
        height=64,
        frames=17,
        latents=latents,
        options={"prepare": False},
        **SHARED,
    )
    compare(clip, decoded(pipe, result))


# --- the decoder of 0.9.1 ------------------------------------------------------------------------


def test_the_noise_that_a_decoder_is_given_and_the_noise_that_it_adds(tmp_path, monkeypatch):
    """Diffusers mixes the first into latents that are not normalised any more."""
    pipe = tiny_ltx.pipeline("B", "LTXPipeline")
    folder = tiny_ltx.saved(pipe, tmp_path / "b", None)
    latents = noise(17, 96, 64)
    result = pipe(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        width=96,
        height=64,
        num_frames=17,
        frame_rate=FPS,
        num_inference_steps=3,
        guidance_scale=2.0,
        latents=torch.from_numpy(latents).flatten(2).transpose(1, 2),
        output_type="latent",
    ).frames
    key = key_of(SEED, "decode", 1)
    monkeypatch.setattr(torch, "randn", TheSameNoise(key, 2, 3))
    video = decoded(pipe, result.transpose(1, 2).reshape(latents.shape))
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        width=96,
        height=64,
        frames=17,
        steps=3,
        guidance=2.0,
        latents=latents,
        options={"stg": 0, "rescale": 0},
        **SHARED,
    )
    compare(clip, video)
