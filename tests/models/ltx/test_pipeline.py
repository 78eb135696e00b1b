"""LTX-Video from prompt to frames, against Diffusers' pipelines on tiny models."""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from . import tiny as tiny_ltx  # noqa: E402

PROMPT = "a red ball moving left"
NEGATIVE = "blurry, ugly"
FPS = 24.0


def noise(frames: int, width: int, height: int) -> np.ndarray:
    shape = (1, tiny_ltx.CHANNELS, (frames - 1) // 8 + 1, height // 32, width // 32)
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def packed(latents: np.ndarray) -> torch.Tensor:
    """[B, C, F, H, W] as tokens, which LTXPipeline takes."""
    return torch.from_numpy(latents).flatten(2).transpose(1, 2)


def as_bytes(video) -> np.ndarray:
    wanted = np.round(np.asarray(video) * 255)
    assert wanted.std() > 5
    return wanted


@pytest.fixture(scope="module", params=["A", "B"])
def plain(request, tmp_path_factory):
    """The reference of 0.9.0 or 0.9.1, and the folder of its model."""
    pipe = tiny_ltx.pipeline(request.param)
    release = {"A": "0.9.0", "B": "0.9.1"}[request.param]
    folder = tiny_ltx.saved(pipe, tmp_path_factory.mktemp("ltx") / release, release)
    return pipe, folder


@pytest.mark.parametrize(
    ("width", "height", "frames", "steps", "guidance"),
    [(96, 64, 17, 4, 3.0), (64, 160, 9, 3, 1.0), (64, 64, 25, 1, 2.0)],
)
def test_prompt_to_frames(plain, width, height, frames, steps, guidance):
    pipe, folder = plain
    latents = noise(frames, width, height)
    timed = pipe.vae.config.timestep_conditioning
    with silent(pipe.vae):
        video = pipe(
            prompt=PROMPT,
            negative_prompt=NEGATIVE,
            width=width,
            height=height,
            num_frames=frames,
            frame_rate=FPS,
            num_inference_steps=steps,
            guidance_scale=guidance,
            latents=packed(latents),
            decode_timestep=0.05,
            decode_noise_scale=0.0,
            output_type="np",
        ).frames[0]
    options = {"stg": 0, "rescale": 0}
    if timed:
        options |= {"decode_timestep": 0.05, "decode_noise": 0}
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
        options=options,
    )
    wanted = as_bytes(video)
    assert clip.frames.shape == wanted.shape
    assert np.abs(clip.frames - wanted).max() <= 2
