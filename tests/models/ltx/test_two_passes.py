"""The two-pass recipe: Diffusers' pipelines for both passes and the upsampler between them, and the
release's formulas for what they do otherwise (the decoder's noise, tone mapping, the last resize).
"""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers.pipelines.ltx import pipeline_ltx_condition  # noqa: E402
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition  # noqa: E402

from . import tiny as tiny_ltx  # noqa: E402
from .pipelines import FPS, PROMPT, SEED, compare, drawn, noise, ours, pictures, ready  # noqa: E402
from .release import decoded  # noqa: E402

FIRST = (1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725)
SECOND = (0.9094, 0.725, 0.4219)
SIDE = 160  # two thirds of it, rounded down to 32, are 96
FRAMES = 17


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    pipe = tiny_ltx.pipeline("C", "LTXConditionPipeline")
    network = tiny_ltx.upsampler()
    folder = tmp_path_factory.mktemp("ltx") / "two"
    return pipe, network, tiny_ltx.saved(pipe, folder, "0.9.8-13b-distilled", network)


def resized(still: np.ndarray, side: int):
    """A picture at another size, as the release does: bilinear, not smoothed."""
    return torch.nn.functional.interpolate(
        ready([still]), size=(side, side), mode="bilinear", align_corners=False
    )


@pytest.mark.parametrize("strength", [None, 1.0, 0.6], ids=["text", "picture", "soft picture"])
def test_two_passes(distilled, monkeypatch, strength):
    pipe, network, folder = distilled
    latents = noise(FRAMES, 96, 96)
    (still,) = pictures(1, SIDE, SIDE)
    shared = dict(
        prompt=PROMPT,
        num_frames=FRAMES,
        frame_rate=FPS,
        guidance_scale=1.0,
        image_cond_noise_scale=0.0,
        output_type="latent",
    )

    def given(side: int) -> dict:
        if strength is None:
            return {}
        picture = LTXVideoCondition(video=resized(still, side), frame_index=0, strength=strength)
        return {"conditions": [picture]}

    ours(monkeypatch, pipeline_ltx_condition, [latents], repeat_encode=True)
    small = pipe(
        width=96, height=96, timesteps=[1000 * t for t in FIRST], **given(96), **shared
    ).frames
    larger = tiny_ltx.upsampling(pipe, network)(
        latents=small, adain_factor=1.0, width=192, height=192, output_type="latent"
    ).frames
    again = drawn(larger.shape, "second pass")
    ours(monkeypatch, pipeline_ltx_condition, [again], repeat_encode=True)
    result = pipe(
        width=192,
        height=192,
        latents=larger,
        timesteps=[1000 * t for t in (1.0, *SECOND)],
        denoise_strength=0.999,
        **given(192),
        **shared,
    ).frames
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        keyframes={} if strength is None else {0: (still, strength)},
        width=SIDE,
        height=SIDE,
        frames=FRAMES,
        fps=FPS,
        latents=latents,
        options={"prepare": False, "image_noise": 0},
        seed=SEED,
    )
    assert clip.settings["options"]["upscale"] is True
    compare(clip, decoded(pipe, result, (SIDE, SIDE), tone_mapping=0.6))
