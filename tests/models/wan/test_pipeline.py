"""Wan 2.1 from prompt to frames, against Diffusers' pipelines on tiny models."""

from __future__ import annotations

import numpy as np
import pytest

import mlxvid

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from PIL import Image  # noqa: E402

from . import tiny as tiny_wan  # noqa: E402

PROMPT, NEGATIVE = "a red ball  moving &amp; left", "blurry, ugly"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """By kind: the folder, and the reference's pipeline from it."""
    made = {}

    def get(kind):
        if kind not in made:
            reference = tiny_wan.pipeline(kind)
            folder = tmp_path_factory.mktemp("wan") / kind
            reference.save_pretrained(folder)
            reference.set_progress_bar_config(disable=True)
            made[kind] = (folder, reference)
        return made[kind]

    return get


def picture(seed: int, width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def both(models, kind, width, height, frames, steps, guidance, sampler="unipc", pictures=()):
    folder, reference = models(kind)
    shape = (1, tiny_wan.CHANNELS, (frames - 1) // 4 + 1, height // 8, width // 8)
    latents = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    if sampler == "euler":
        from diffusers import FlowMatchEulerDiscreteScheduler

        scheduler, reference.scheduler = (
            reference.scheduler,
            FlowMatchEulerDiscreteScheduler(shift=3.0),
        )
    try:
        given = dict(zip(("image", "last_image"), pictures, strict=False))
        expected = reference(
            prompt=PROMPT,
            negative_prompt=NEGATIVE,
            width=width,
            height=height,
            num_frames=frames,
            num_inference_steps=steps,
            guidance_scale=guidance,
            latents=torch.from_numpy(latents),
            output_type="np",
            **given,
        ).frames[0]
    finally:
        if sampler == "euler":
            reference.scheduler = scheduler
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        negative_prompt=NEGATIVE,
        width=width,
        height=height,
        frames=frames,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        latents=latents,
        **given,
    )
    expected = np.round(np.asarray(expected) * 255)
    assert expected.std() > 5 and clip.frames.shape == expected.shape
    return np.abs(clip.frames - expected).max()


@pytest.mark.parametrize(
    ("width", "height", "frames", "steps", "guidance", "sampler"),
    [
        (32, 48, 13, 4, 5.0, "unipc"),
        (48, 16, 1, 3, 3.0, "unipc"),
        (16, 32, 5, 3, 1.0, "unipc"),
        (48, 32, 9, 3, 4.0, "euler"),
    ],
)
def test_text_to_video(models, width, height, frames, steps, guidance, sampler):
    assert both(models, "t2v", width, height, frames, steps, guidance, sampler) <= 2


@pytest.mark.parametrize(("width", "height", "frames"), [(48, 32, 13), (32, 48, 1)])
def test_image_to_video(models, width, height, frames):
    assert (
        both(models, "i2v", width, height, frames, 3, 5.0, pictures=[picture(1, width, height)])
        <= 2
    )


@pytest.mark.parametrize(("width", "height", "frames"), [(48, 32, 13), (16, 48, 5)])
def test_first_and_last_frame(models, width, height, frames):
    pictures = [picture(1, width, height), picture(2, width, height)]
    assert both(models, "flf2v", width, height, frames, 3, 5.0, pictures=pictures) <= 2
