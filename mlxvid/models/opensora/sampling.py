"""Open-Sora's rectified flow: Euler's steps at times that depend on the clip's size, with some of
its frames given or not.

STDiT3 predicts clip - noise: what the schedulers here call must be its negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
import numpy as np

from mlxvid.schedulers import FlowEuler, Predict, flow_sigmas

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


def moving(edit: np.ndarray | mx.array, sigma: float) -> np.ndarray | mx.array:
    """Which frames are denoised at `sigma`, bool [B, F]: the transformer's x_mask. edit: as for
    :class:`GivenFramesFlow`.
    """
    return edit >= sigma


class GivenFramesFlow(FlowEuler):
    """:class:`FlowEuler` where some frames are given: they stand still until sigma has come down to
    their edit ratio.

    given [B, F, H, W, C]: their latents, anything in the other frames. edit float32 [B, F]: 1 for a
    frame that is not given, else the share of noise from which it is denoised again, 0 for never.
    fresh(i): float32 noise like the latents for step i, always the same for the same i; asked for
    only where frames begin to move in that step.
    """

    def __init__(
        self,
        steps: int,
        shift: float,
        given: mx.array,
        edit: np.ndarray,
        fresh: Callable[[int], mx.array],
    ):
        super().__init__(steps, shift, exact_sigmas)
        self.given, self.edit, self.fresh = given, edit, fresh

    def begin(self, noise: mx.array) -> mx.array:
        return mx.where(_over_frames(self.edit < 1), self.given, noise)

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        moved, x0 = super().step(predict, self._stirred(x, i), i)
        moving = self._moving(i)
        return mx.where(moving, moved, x), mx.where(moving, x0, x)

    def _moving(self, i: int) -> mx.array:
        return _over_frames(moving(self.edit, self.sigmas[i].item()))

    def _stirred(self, x: mx.array, i: int) -> mx.array:
        """`x` with this step's share of fresh noise in the frames that begin to move in it."""
        if i == 0:
            return x  # only what is not given moves, and that is noise already
        before, sigma = self.sigmas[i - 1].item(), self.sigmas[i].item()
        new = moving(self.edit, sigma) & ~moving(self.edit, before)
        return (
            mx.where(_over_frames(new), (1 - sigma) * x + sigma * self.fresh(i), x)
            if new.any()
            else x
        )


def _over_frames(mask: np.ndarray) -> mx.array:
    """A mask [B, F] as it lies over latents [B, F, H, W, C]."""
    return mx.array(mask)[:, :, None, None, None]
