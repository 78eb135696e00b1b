"""UniPC: each step predicts, and the next model call corrects the prediction at no extra cost."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from .base import Model, Scheduler
from .exponential import advance
from .flow_euler import Spacing, shifted
from .noise import Level

# So much less than pure noise is the first share: of no signal at all there is no logarithm.
SIGNAL = 1e-6


def unipc_sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """Shares of noise from 1 to 0, float64 [steps + 1]: evenly towards a thousandth, which is not
    reached, then shifted; then none.
    """
    return np.append(shifted(np.linspace(1.0, 1 / 1000, steps + 1)[:-1], shift), 0.0)


class Corrected(Scheduler):
    """UniPC of second order, B2(h) (arXiv:2302.04867), whatever the model foresees the clip by.

    levels: before each step and after the last. lower_at_end: whether the last step is of first
    order.
    """

    levels: Sequence[Level]
    lower_at_end = True

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        clip = self.clean(x, model(x, self.times[i].item()), i)
        levels, past = self.levels, self.memory if i else {}
        if past:
            before = (levels[i - 2], past["clip_before"]) if "clip_before" in past else None
            x = advance(past["x"], past["clip"], levels[i - 1], levels[i], before, clip)
        self.memory = {"x": x, "clip": clip, **({"clip_before": past["clip"]} if past else {})}
        first_order = not past or (self.lower_at_end and i == len(self.times) - 1)
        return advance(
            x,
            clip,
            levels[i],
            levels[i + 1],
            None if first_order else (levels[i - 1], past["clip"]),
        )


class UniPC(Corrected):
    """UniPC on a rectified flow.

    Equal to Diffusers' UniPCMultistepScheduler with use_flow_sigmas, flow_prediction, flow_shift =
    `shift` and else its defaults: what Wan 2.1 is sampled with.
    """

    def __init__(self, steps: int, shift: float = 1.0, spacing: Spacing = unipc_sigmas):
        sigmas = spacing(steps, shift)
        sigmas[0] = min(sigmas[0], 1 - SIGNAL)
        # The reference calls the model at whole timesteps, rounded down.
        self.times = np.floor(sigmas[:-1] * 1000) / 1000
        # Its shares are float32, where 1 - SIGNAL leaves 1.3 % more signal: worth 2e-6 of the
        # latents in a few steps.
        self.sigmas = sigmas.astype(np.float32).astype(np.float64)
        self.levels = [Level(1 - sigma, sigma) for sigma in self.sigmas.tolist()]

    def clean(self, x: mx.array, output: mx.array, i: int) -> mx.array:
        return x - self.sigmas[i].item() * output
