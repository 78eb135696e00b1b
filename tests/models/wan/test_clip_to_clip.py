"""Wan 2.1's clips made from others, against Diffusers' WanVideoToVideoPipeline."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import mlxvid
from mlxvid.errors import SettingError
from tests.facts import facts
from tests.models import clip_to_clip

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from PIL import Image  # noqa: E402

from . import tiny as tiny_wan  # noqa: E402

PROMPT = "a red ball moving left"
NEGATIVE = "blurry, ugly"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny model, and the reference's pipeline."""
    text_to_video = tiny_wan.pipeline("t2v")
    folder = tmp_path_factory.mktemp("wan") / "t2v"
    text_to_video.save_pretrained(folder)
    parts = ("tokenizer", "text_encoder", "transformer", "vae", "scheduler")
    reference = diffusers.WanVideoToVideoPipeline(
        **{part: getattr(text_to_video, part) for part in parts}
    )
    reference.set_progress_bar_config(disable=True)
    return folder, reference


def moving(seed: int, width: int, height: int, frames: int) -> np.ndarray:
    """A smooth picture that shifts by two pixels a frame, uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return np.stack([np.roll(smooth, 2 * frame, axis=1) for frame in range(frames)])


@pytest.mark.parametrize(
    ("width", "height", "frames", "steps", "strength", "guidance", "sampler"),
    [
        (32, 48, 13, 6, 0.7, 5.0, "unipc"),
        (48, 16, 1, 5, 0.5, 3.0, "unipc"),
        (16, 32, 5, 4, 1.0, 1.0, "unipc"),
        (48, 32, 9, 7, 0.3, 4.0, "unipc"),
        (48, 32, 9, 5, 0.6, 4.0, "euler"),
    ],
)
def test_video_to_video(
    model, monkeypatch, width, height, frames, steps, strength, guidance, sampler
):
    folder, reference = model
    shape = (1, tiny_wan.CHANNELS, (frames - 1) // 4 + 1, height // 8, width // 8)
    latents = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    monkeypatch.setattr(
        sys.modules[diffusers.WanVideoToVideoPipeline.__module__],
        "randn_tensor",
        lambda *_, **__: torch.from_numpy(latents),
    )
    if sampler == "euler":
        own = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
        monkeypatch.setattr(reference, "scheduler", own)
    given = moving(1, width, height, frames)
    expected = reference(
        video=[Image.fromarray(frame) for frame in given],
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        width=width,
        height=height,
        num_inference_steps=steps,
        strength=strength,
        guidance_scale=guidance,
        output_type="np",
    ).frames[0]
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        video=given,
        strength=strength,
        negative_prompt=NEGATIVE,
        width=width,
        height=height,
        frames=frames,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        latents=latents,
    )
    expected = np.round(np.asarray(expected) * 255)
    assert expected.std() > 5
    assert clip.frames.shape == expected.shape
    assert np.abs(clip.frames - expected).max() <= 2


@pytest.mark.parametrize("sampler", ["unipc", "euler", "heun"])
def test_all_that_the_pipeline_promises(model, monkeypatch, sampler):
    pipe = mlxvid.load(str(model[0]))
    clip_to_clip.check(
        pipe, monkeypatch, sampler=sampler, guidance=1.0, width=32, height=16, frames=5
    )


def test_a_model_that_starts_from_pictures_takes_no_clip(tmp_path):
    tiny_wan.write_model(tmp_path / "i2v", "i2v")
    pipe = mlxvid.load(str(tmp_path / "i2v"))
    with pytest.raises(SettingError, match=facts("takes no `video`")):
        pipe.generate(PROMPT, video=moving(1, 32, 32, 5), image=moving(1, 32, 32, 1)[0])
