"""Samplers in the sigmas of Karras et al. (arXiv:2206.00364), deterministic and ancestral.

Karras' latents are x0 + sigma * noise. Here they are scaled to what the model takes, so that
Euler's step is DDIM's; what remains its own is the schedule: fractional timesteps, its end, and the
noise that it begins with.
"""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import numpy as np

from .base import Level, Predict, combine
from .denoising import AncestralScheduler
from .noise import (
    NoiseConfig,
    NoiseScheduler,
    Trajectory,
    karras_ratios,
    levels_from_ratios,
    times_from_ratios,
    x0_from_noise,
)


class EulerDiscrete(NoiseScheduler):
    """Euler's method (arXiv:2206.00364, algorithm 2 without churn).

    Equal to Diffusers' EulerDiscreteScheduler.
    """

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        table = config.ratios()
        if (config.timestep_spacing or "linspace") == "linspace":
            times = np.linspace(0, config.num_train_timesteps - 1, steps)[::-1]
        else:
            times = config.whole_times(steps, "linspace")
        ratios = np.interp(times, np.arange(len(table)), table)
        if config.use_karras_sigmas:
            ratios = karras_ratios(ratios[0], ratios[-1], steps)
            times = times_from_ratios(config, ratios)
        return Trajectory.connected(times, levels_from_ratios(config, ratios))

    def begin(self, noise: mx.array) -> mx.array:
        """The latents that step 0 takes: in Karras' scale, sigma * noise.

        With "leading", where step 0 is not at the training's last timestep, it is the noise itself,
        as in the reference.
        """
        if self.config.timestep_spacing == "leading":
            return noise
        return self.starts[0].noise * noise


class EulerAncestral(AncestralScheduler, EulerDiscrete):
    """DDPM's step between Euler's levels.

    Equal to Diffusers' EulerAncestralDiscreteScheduler, which has no Karras spacing and always
    ends at x0.
    """

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        config = replace(config, final_sigmas_type="zero", use_karras_sigmas=False)
        return super().trajectory(steps, config)


class HeunDiscrete(EulerDiscrete):
    """Heun's method: the mean of the noises predicted at both ends of the step, of second order.

    arXiv:2206.00364, algorithm 1; the last step, to x0, is Euler's. Equal to Diffusers'
    HeunDiscreteScheduler.
    """

    evaluations = 2

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        return super().trajectory(steps, replace(config, final_sigmas_type="zero"))

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        start = self.starts[i]
        end = self.ends[i]
        x0, noise = self._split(x, predict(x, self.times[i].item()), start)
        euler = combine(x0, noise, end)
        if end.noise == 0:
            return euler, x0
        _, end_noise = self._split(euler, predict(euler, self.times[i + 1].item()), end)
        mean = (noise + end_noise) / 2
        return combine(x0_from_noise(x, mean, start), mean, end), x0

    def _split(self, x: mx.array, output: mx.array, level: Level) -> tuple[mx.array, mx.array]:
        x0, noise = super()._split(x, output, level)
        if self.config.clip_sample:
            return self._clipped(x, x0, level)
        return x0, noise


class KDPM2Ancestral(AncestralScheduler, EulerDiscrete):
    """DPM-Solver-2 (arXiv:2206.00927) in Karras' scale, with fresh noise in every step.

    Each step goes past its end, by the noise predicted at the middle, and fresh noise brings it
    back. The middle, in the logarithm of sigma, is the level of the step's end. Equal to Diffusers'
    KDPM2AncestralDiscreteScheduler (k-diffusion's sample_dpm_2_ancestral).
    """

    evaluations = 2

    middle_times: np.ndarray
    """float64 [steps - 1]: the time of the second model call of each step but the last."""

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        config = replace(config, final_sigmas_type="zero")
        times, starts, ends = super().trajectory(steps, config)
        # As in the reference, the second calls are at the exact, fractional timesteps, also where
        # the first ones are rounded.
        ratios = np.array([level.noise / level.signal for level in ends[:-1]])
        self.middle_times = times_from_ratios(config, ratios) / config.num_train_timesteps
        return Trajectory(times.round() if config.use_karras_sigmas else times, starts, ends)

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        start = self.starts[i]
        end = self.ends[i]
        x0, noise = self._split(x, predict(x, self.times[i].item()), start)
        euler = combine(x0, noise, end)
        if end.noise == 0:
            return euler, x0
        _, noise = self._split(euler, predict(euler, self.middle_times[i].item()), end)
        return self._combine_with_fresh_noise(x0_from_noise(x, noise, start), noise, i), x0
