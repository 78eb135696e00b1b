"""CogVideoX's clips made from others, against Diffusers' CogVideoXVideoToVideoPipeline."""

from __future__ import annotations

import sys

import mlxvid  # before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import SettingError
from mlxvid.schedulers import DPMSolverSDE, NoiseConfig
from tests.facts import facts
from tests.models import clip_to_clip

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from . import tiny  # noqa: E402

PROMPT = "a red ball moving left"
SIZE = dict(width=64, height=48, frames=9)
SEED = 5


def first_noise() -> np.ndarray:
    """Of three latent frames, as the reference has it: [1, F, C, h, w]."""
    shape = (1, 3, tiny.CHANNELS, SIZE["height"] // 8, SIZE["width"] // 8)
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


@pytest.fixture
def our_noise(monkeypatch):
    """In place of the reference's noise of its n-th step, ours of the step that it is."""
    source = DPMSolverSDE(1, NoiseConfig(), SEED)
    draws: list[int] = []

    def use(first: int) -> None:
        def drawn(shape, **_):
            number = len(draws)
            draws.append(number)
            b, f, c, h, w = shape
            step = first + (number + 1) // 2  # of two draws in a step the second counts
            noise = source.fresh_noise(mx.zeros((b, f, h, w, c)), step)
            return torch.from_numpy(np.array(noise.transpose(0, 1, 4, 2, 3)))

        module = sys.modules[diffusers.CogVideoXDPMScheduler.__module__]
        monkeypatch.setattr(module, "randn_tensor", drawn)
        module = sys.modules[diffusers.CogVideoXVideoToVideoPipeline.__module__]
        monkeypatch.setattr(
            module, "randn_tensor", lambda *_, **__: torch.from_numpy(first_noise())
        )

    return use


@pytest.mark.parametrize(
    ("kind", "steps", "strength", "dynamic"),
    [("2b", 5, 0.8, "off"), ("5b", 6, 0.5, "released"), ("5b", 5, 0.8, "off")],
)
def test_a_clip_made_from_another(tmp_path, monkeypatch, our_noise, kind, steps, strength, dynamic):
    plain = tiny.pipeline(kind)
    plain.save_pretrained(tmp_path)
    pipe = diffusers.CogVideoXVideoToVideoPipeline(**plain.components)
    pipe.set_progress_bar_config(disable=True)
    encode = pipe.vae.encode

    def mean(pixels):
        found = encode(pixels)
        found.latent_dist.sample = lambda _: found.latent_dist.mean
        return found

    monkeypatch.setattr(pipe.vae, "encode", mean)
    our_noise(steps - int(steps * strength))
    given = clip_to_clip.coarse_clip(3, **SIZE)
    wanted = pipe(
        video=[Image.fromarray(frame) for frame in given],
        prompt=PROMPT,
        width=SIZE["width"],
        height=SIZE["height"],
        num_inference_steps=steps,
        strength=strength,
        guidance_scale=6.0,
        use_dynamic_cfg=dynamic == "released",
        max_sequence_length=tiny.TOKENS,
        output_type="np",
    ).frames[0]
    wanted = np.round(np.asarray(wanted) * 255)
    saturated = ((wanted == 0) | (wanted == 255)).mean()
    assert wanted.std() > 5 and saturated < 0.05
    clip = mlxvid.load(str(tmp_path)).generate(
        PROMPT,
        video=given,
        strength=strength,
        steps=steps,
        seed=SEED,
        latents=first_noise(),
        options={"dynamic_guidance": dynamic},
        **SIZE,
    )
    assert clip.frames.shape == wanted.shape
    assert np.abs(clip.frames - wanted).max() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["2b", "5b", "1.5"])
def test_all_that_the_pipeline_promises(tmp_path, monkeypatch, kind):
    pipe = mlxvid.load(str(tiny.write_model(tmp_path, kind)))
    size = {**SIZE, "frames": 17}
    clip_to_clip.check(pipe, monkeypatch, near=0.5, guidance=1.0, **size)


def test_a_model_that_starts_from_a_picture_takes_no_clip(tmp_path):
    pipe = mlxvid.load(str(tiny.write_model(tmp_path, "5b-i2v")))
    given = clip_to_clip.coarse_clip(3, **SIZE)
    with pytest.raises(SettingError, match=facts("`video`")):
        pipe.generate(PROMPT, video=given, image=given[0], **SIZE)
