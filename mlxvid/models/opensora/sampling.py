"""Open-Sora's rectified flow: the spacing of its steps depends on the clip's size.

STDiT3 predicts x0 - noise: what the schedulers call must be its negative.
"""

from __future__ import annotations

import math

import numpy as np

from mlxvid.schedulers import flow_sigmas

from .sizes import CHUNK, CHUNK_LATENTS


def time_shift(height: int, width: int, frames: int) -> float:
    """How far the sigmas of a clip of that many pixels and frames are shifted towards noise: the
    reference's timestep transform.

    The more there is to see, the more noise it takes to hide it: the shift grows with the square
    root of the area, against 512 x 512, and of the latent frames, of which this counts 5 for each
    whole 17 frames, and 1 for a picture or less than 17.
    """
    return math.sqrt(height * width / 512**2 * max(1, frames // CHUNK * CHUNK_LATENTS))


def exact_sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """Shares of noise as :func:`flow_sigmas`, but first exactly 1: at a hair more, frames that are
    not given would stand still.
    """
    sigmas = flow_sigmas(steps, shift)
    sigmas[0] = 1.0
    return sigmas
