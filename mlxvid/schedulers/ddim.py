"""DDIM without added noise: the deterministic sampler of diffusion models."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from .noise import Level, NoiseConfig, NoiseScheduler, Road, level_of


class DDIM(NoiseScheduler):
    """DDIM, eta = 0 (arXiv:2010.02502). Equal to Diffusers' DDIMScheduler."""

    def road(self, steps: int, config: NoiseConfig) -> Road:
        times = config.whole_times(steps, "leading")
        # Where a step ends is reckoned from where it begins, also where the spacing has the next
        # one begin elsewhere: as the reference.
        ends = times - config.num_train_timesteps // steps
        return Road(
            times, levels(config, times), levels(config, ends, config.set_alpha_to_one is not False)
        )

    def split(self, x: mx.array, output: mx.array, here: Level) -> tuple[mx.array, mx.array]:
        clip, noise = super().split(x, output, here)
        return clip if self.config.clip_sample is False else self.clipped(x, clip, here)[0], noise


def levels(config: NoiseConfig, times: np.ndarray, clip_at_end: bool = True) -> list[Level]:
    """The levels at timesteps; below 0 is the clip itself, or what is nearest to it in the
    training.
    """
    alphas = config.alphas()
    final = 1.0 if clip_at_end else alphas[0]
    return [level_of(alphas[t] if t >= 0 else final) for t in times]
