"""Euler's method on a diffusion model's noise levels."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from .noise import NoiseConfig, NoiseScheduler, Road, ended, karras, place, through, times_of


class EulerDiscrete(NoiseScheduler):
    """Euler's method in clip + sigma * noise (Karras et al., arXiv:2206.00364, algorithm 2 without
    churn).

    Equal to Diffusers' EulerDiscreteScheduler. With the latents scaled to what the model takes, its
    step is DDIM's; what is its own is where it stops, at broken timesteps too, and how much noise
    it begins with.
    """

    def road(self, steps: int, config: NoiseConfig) -> Road:
        table = config.ratios()
        if (config.timestep_spacing or "linspace") == "linspace":
            times = np.linspace(0, config.num_train_timesteps - 1, steps)[::-1]
        else:
            times = config.whole_times(steps, "linspace")
        ratios = np.interp(times, np.arange(len(table)), table)
        if config.use_karras_sigmas:
            ratios = karras(ratios[0], ratios[-1], steps)
            times = times_of(ratios, table)
        return through(times, [place(ratio) for ratio in ended(ratios, table, config)])

    def begin(self, noise: mx.array) -> mx.array:
        """Where the first timestep is the training's last, the latents begin with sigma * noise and
        no clip, in its scale.
        """
        return noise if self.config.timestep_spacing == "leading" else self.here[0].noise * noise
