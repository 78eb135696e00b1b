"""Euler's method on a diffusion model's noise levels."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from .noise import Level, NoiseConfig, NoiseScheduler

RHO = 7.0


class EulerDiscrete(NoiseScheduler):
    """Euler's method in clip + sigma * noise (Karras et al., arXiv:2206.00364, algorithm 2 without churn).

    Equal to Diffusers' EulerDiscreteScheduler. With the latents scaled to what the model takes, its step is DDIM's; what is its own is
    where it stops, at broken timesteps too, and how much noise it begins with.
    """

    def __init__(self, steps: int, config: NoiseConfig):
        table = config.ratios()
        if (config.timestep_spacing or "linspace") == "linspace":
            times = np.linspace(0, config.num_train_timesteps - 1, steps)[::-1]
        else:
            times = config.whole_times(steps, "linspace")
        ratios = np.interp(times, np.arange(len(table)), table)
        if config.use_karras_sigmas:
            ratios = karras(ratios[0], ratios[-1], steps)
            times = times_of(ratios, table)
        places = [place(ratio) for ratio in ended(ratios, table, config)]
        super().__init__(config, times, places[:-1], places[1:])

    def begin(self, noise: mx.array) -> mx.array:
        """Where the first timestep is the training's last, the latents begin with sigma * noise and no clip, in its scale."""
        return noise if self.config.timestep_spacing == "leading" else self.here[0].noise * noise


def place(ratio: float) -> Level:
    """The level at which there is `ratio` times as much noise as signal."""
    signal = 1 / (float(ratio) ** 2 + 1) ** 0.5
    return Level(signal, float(ratio) * signal)


def ended(ratios: np.ndarray, table: np.ndarray, config: NoiseConfig) -> np.ndarray:
    """The ratios of noise to signal with the last one, after all steps: none, or the training's least."""
    return np.append(ratios, 0.0 if config.final_sigmas_type == "zero" else table[0])


def karras(first: float, last: float, steps: int) -> np.ndarray:
    """Ratios of noise to signal between two, spaced as in Karras et al., arXiv:2206.00364, eq. 5."""
    return np.linspace(first ** (1 / RHO), last ** (1 / RHO), steps) ** RHO


def times_of(ratios: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The (broken) timesteps of the training with these ratios of noise to signal."""
    return np.interp(np.log(ratios), np.log(table), np.arange(len(table)))
