"""DDPM: the diffusion undone step by step, with noise added in each."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError

from .ancestral import Ancestral
from .ddim import levels
from .noise import Level, NoiseConfig, Road, through

# Diffusers' name for the posterior's variance, also in its log; for a variance that the model says,
# which nothing here reads, it stands in.
VARIANCES = (None, "fixed_small", "fixed_small_log", "learned", "learned_range")


class DDPM(Ancestral):
    """DDPM (arXiv:2006.11239), with fewer steps than the training's too. Equal to Diffusers'
    DDPMScheduler with "fixed_small".
    """

    def road(self, steps: int, config: NoiseConfig) -> Road:
        if config.variance_type not in VARIANCES:
            raise SettingError(
                f"The ddpm sampler does not know this model's variance_type {config.variance_type!r}; take another sampler."
            )
        times = config.whole_times(steps, "leading")
        return through(times, levels(config, np.append(times, -1)))

    def split(self, x: mx.array, output: mx.array, here: Level) -> tuple[mx.array, mx.array]:
        clip, noise = super().split(x, output, here)
        return (clip, noise) if self.config.clip_sample is False else self.clipped(x, clip, here)
