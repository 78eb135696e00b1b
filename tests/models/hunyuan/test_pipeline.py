"""HunyuanVideo from prompt to frames, against Diffusers' pipelines on tiny models."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import mlxvid

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from . import tiny  # noqa: E402
from .tokenizers_of import PROMPTS  # noqa: E402

SHORT = PROMPTS[0]
LONG = " ".join(PROMPTS[:2] * 20)  # longer than either text encoder reads
NEGATIVE = PROMPTS[1]
LEAST = 5  # of 255: how much frames that show something vary


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """The folder of a model, and the reference's pipeline."""
    folder = tmp_path_factory.mktemp("hunyuan")
    reference = tiny.text_to_video(folder / "words")
    reference.save_pretrained(folder / "model")
    return folder / "model", reference


def noise(frames: int, width: int, height: int) -> np.ndarray:
    shape = (1, tiny.CHANNELS, frames, height // 8, width // 8)
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def difference(clip, expected) -> float:
    expected = np.round(np.asarray(expected) * 255)
    assert expected.std() > LEAST and clip.frames.shape == expected.shape
    return np.abs(clip.frames - expected).max()


@pytest.mark.parametrize(
    ("prompt", "width", "height", "frames", "true_guidance"),
    [
        (SHORT, 48, 32, 5, 1.0),
        (LONG, 16, 32, 1, 1.0),
        (SHORT, 32, 16, 17, 2.5),
    ],
)
def test_text_to_video(text_model, prompt, width, height, frames, true_guidance):
    folder, reference = text_model
    latents = noise((frames - 1) // 4 + 1, width, height)
    expected = tiny.frames_of(
        reference,
        prompt=prompt,
        negative_prompt=NEGATIVE,
        true_cfg_scale=true_guidance,
        width=width,
        height=height,
        num_frames=frames,
        num_inference_steps=3,
        guidance_scale=6.0,
        latents=torch.from_numpy(latents),
    )
    clip = mlxvid.load(str(folder)).generate(
        prompt,
        negative_prompt=NEGATIVE,
        true_guidance=true_guidance,
        width=width,
        height=height,
        frames=frames,
        steps=3,
        latents=latents,
    )
    assert clip.settings["guidance"] == 6.0 and clip.settings["shift"] == tiny.SHIFT
    assert difference(clip, expected) <= 2


def test_a_negative_prompt_is_for_true_guidance(text_model, caplog):
    pipe = mlxvid.load(str(text_model[0]))
    small = dict(width=16, height=16, frames=1, steps=2, seed=1)
    with caplog.at_level(logging.WARNING, "mlxvid"):
        pipe.generate(SHORT, negative_prompt=NEGATIVE, **small)
    assert "`true_guidance`" in caplog.text
