"""Drawn clips: gradients, shapes that move, and textures, in colours from all over the gamut.

What a VAE makes of them shows which latents stand for which colours. No MLX here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Every clip is drawn from a seed of its own.
SEED = 20210


def drawn_clips(count: int, frames: int, side: int) -> Iterator[np.ndarray]:
    """`count` clips float32 [frames, side, side, 3] in [-1, 1], always the same ones."""
    for number in range(count):
        yield _drawn(np.random.default_rng((SEED, number)), frames, side)


def _drawn(rng: np.random.Generator, frames: int, side: int) -> np.ndarray:
    places = np.linspace(-1, 1, side, dtype=np.float32)
    y, x = np.meshgrid(places, places, indexing="ij")
    time = np.linspace(0, 1, frames, dtype=np.float32)[:, None, None]
    clip = _gradient(rng, x, y, time)
    for _ in range(rng.integers(0, 6)):
        shape = _shape(rng, x, y, time, soft=4 / side)[..., None]
        clip = clip + shape * (_colour(rng) - clip)
    clip = clip + _waves(rng, x, y, time, finest=side / 4)
    return np.clip(clip, -1, 1).astype(np.float32)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Any colour: mostly a muted one or a grey, as in films, or else a corner of the gamut."""
    kind = rng.integers(6)
    if kind == 0:
        return rng.choice([-1.0, 1.0], 3)
    grey = np.repeat(rng.uniform(-1, 1), 3)
    return grey if kind == 1 else np.clip(grey + rng.normal(0, 0.3, 3), -1, 1)


def _gradient(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, time: np.ndarray
) -> np.ndarray:
    """From one colour to another in some direction, drifting."""
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * x + np.sin(angle) * y + rng.uniform(-1, 1) * time
    share = np.clip(ramp / 2 + 0.5, 0, 1)[..., None]
    first = _colour(rng)
    return first + share * (_colour(rng) - first)


def _shape(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, time: np.ndarray, soft: float
) -> np.ndarray:
    """How much of each pixel a disc or a box on its way covers, 0 to 1."""
    across = x - rng.uniform(-1, 1) - rng.uniform(-1, 1) * time
    down = y - rng.uniform(-1, 1) - rng.uniform(-1, 1) * time
    is_disc = rng.integers(2)
    distance = np.hypot(across, down) if is_disc else np.maximum(np.abs(across), np.abs(down))
    return np.clip((rng.uniform(0.1, 0.7) - distance) / soft, 0, 1)


def _waves(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, time: np.ndarray, finest: float
) -> np.ndarray:
    """A texture: a few waves from broad to fine, faint or strong, that move."""
    texture = np.zeros(3)
    for _ in range(4):
        length = finest ** rng.uniform(0, 1)
        angle = rng.uniform(0, 2 * np.pi)
        phase = np.pi * length * (np.cos(angle) * x + np.sin(angle) * y)
        wave = np.sin(phase + rng.uniform(0, 2 * np.pi) + rng.uniform(-3, 3) * time)
        tint = rng.normal(size=3) if rng.integers(2) else np.repeat(rng.normal(), 3)
        texture = texture + 0.1 * wave[..., None] * tint
    return texture
