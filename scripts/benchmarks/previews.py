"""Rough previews: of the embedded model, what the fit and each preview cost, and how like the clip
they are; and what a tiny decoder's cost beside a released model's step.
"""

from __future__ import annotations

import time

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np

from mlxvid.cli.events import strip
from mlxvid.run import latent_map

from . import tiny_decoder
from .timing import median_seconds

PROMPTS = (
    "a large yellow star spinning",
    "a red ball bouncing on a navy background",
    "a blue ring orbiting",
    "a green square growing",
)


def bench(repeats: int) -> None:
    """Print the costs, medians of `repeats`, and the likeness to four clips made small."""
    pipe = mlxvid.load("mini")
    geometry = pipe.model.card.geometry
    start = time.perf_counter()
    colours = latent_map.fitted(pipe.model)
    print(f"fit, once for a VAE: {time.perf_counter() - start:.2f} s")
    seconds: dict[str, float] = {}

    def note(progress: mlxvid.Progress) -> None:
        seconds[progress.stage] = progress.elapsed

    for seed, prompt in enumerate(PROMPTS):
        clip = pipe.generate(prompt, seed=seed, on_progress=note)
        pixels = mx.array(clip.frames).astype(mx.float32)[None] / 127.5 - 1
        latents = np.array(pipe.model.network("vae").encode(pixels)[0])
        shown = colours.frames(latents, geometry)
        error, explained = likeness(shown, clip.frames)
        print(f"{prompt}: PSNR {error:.1f} dB, {explained:.0%} of the variance")
    step = seconds["denoise"] / pipe.model.card.defaults.steps
    cost = median_seconds(lambda: strip(colours.frames(latents, geometry)), repeats)
    share = cost / step
    print(f"a preview as a PNG: {cost * 1000:.2f} ms, {share:.1%} of a step of {step:.2f} s")
    large = np.random.default_rng(0).normal(size=(21, 60, 104, 16)).astype(np.float32)
    matrices = {n: np.full((17, 3 * n), 0.1, np.float32) for n in colours.matrices}
    wide = latent_map.LatentMap(matrices)
    cost = median_seconds(lambda: strip(wide.frames(large, geometry)), repeats)
    print(f"a preview of 81 frames of 832x480, 16 channels: {cost * 1000:.0f} ms")
    tiny_decoder.bench(min(repeats, 3))


def likeness(shown: np.ndarray, frames: np.ndarray) -> tuple[float, float]:
    """The PSNR of small frames in dB, and the share of the variance that they have, against the
    clip's frames as means of blocks.
    """
    count, height, width, _ = shown.shape
    blocks = frames.reshape(count, height, frames.shape[1] // height, width, -1, 3)
    small = blocks.mean(axis=(2, 4))
    error = ((shown - small) ** 2).mean()
    return 10 * np.log10(255**2 / error), 1 - error / small.var(axis=(0, 1, 2)).mean()
