"""UniPC: every step predicts, and the next step's model call corrects it at no extra cost."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from .base import Predict, Scheduler
from .exponential import ExponentialScheduler, advance
from .flow import FlowScheduler, Spacing, shifted
from .noise import NoiseConfig

# The first sigma is this much less than 1: without any signal its logarithm is infinite.
FIRST_SIGNAL = 1e-6


def unipc_sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """Sigmas from 1 to 0, float64 [steps + 1].

    All but the last are spaced evenly towards a thousandth, which is not reached, then shifted.
    """
    return np.append(shifted(np.linspace(1.0, 1 / 1000, steps + 1)[:-1], shift), 0.0)


class Corrected(Scheduler):
    """UniPC of second order with B2(h) (arXiv:2302.04867), for any kind of prediction."""

    lower_at_end = True
    """Whether the last step is of first order."""

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        x0 = self._x0(x, predict(x, self.times[i].item()), i)
        level = self.levels[i]
        end = self.levels[i + 1]
        if i == 0 or not self.memory:  # nothing came before
            self.memory = {"x": x, "x0": x0}
            return advance(x, x0, level, end), x0
        start = self.levels[i - 1]
        start_x = self.memory["x"]
        start_x0 = self.memory["x0"]
        before = None
        if "previous_x0" in self.memory:
            before = (self.levels[i - 2], self.memory["previous_x0"])
        corrected = advance(start_x, start_x0, start, level, before, x0)
        self.memory = {"x": corrected, "x0": x0, "previous_x0": start_x0}
        is_last = i == self.steps - 1
        other = None if is_last and self.lower_at_end else (start, start_x0)
        return advance(corrected, x0, level, end, other), x0


class UniPC(Corrected, FlowScheduler):
    """UniPC on a rectified flow, as Wan 2.1 is sampled.

    Equal to Diffusers' UniPCMultistepScheduler with use_flow_sigmas, flow_prediction, flow_shift =
    `shift` and else its defaults.
    """

    def __init__(self, steps: int, shift: float = 1.0, spacing: Spacing = unipc_sigmas):
        sigmas = spacing(steps, shift)
        sigmas[0] = min(sigmas[0], 1 - FIRST_SIGNAL)
        # The reference calls the model at whole timesteps, rounded down.
        times = np.floor(sigmas[:-1] * 1000) / 1000
        # Its sigmas are float32, where 1 - FIRST_SIGNAL leaves 1.3 % more signal: worth 2e-6 of the
        # latents in a few steps.
        super().__init__(sigmas.astype(np.float32).astype(np.float64), times)


class UniPCDiscrete(Corrected, ExponentialScheduler):
    """UniPC on a diffusion model.

    Equal to Diffusers' UniPCMultistepScheduler with its defaults.
    """

    def __init__(self, steps: int, config: NoiseConfig, seed: int = 0):
        super().__init__(steps, config, seed)
        self.lower_at_end = config.lower_order_final is not False
