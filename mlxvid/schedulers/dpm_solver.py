"""DPM-Solver++: a multistep sampler of second order for diffusion models."""

from __future__ import annotations

import mlx.core as mx

from .base import Model
from .exponential import ExponentialScheduler, advance

# In fewer steps than this the last one is of first order, which is steadier.
FEW = 15


class DPMSolver(ExponentialScheduler):
    """DPM-Solver++ 2M (arXiv:2211.01095), midpoint. Equal to Diffusers' DPMSolverMultistepScheduler
    with its defaults.
    """

    follows = "clip"

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        clip, noise = self.split(x, model(x, self.times[i].item()), self.here[i])
        foreseen, steps = clip if self.follows == "clip" else noise, len(self.times)
        first_order = i == 0 or (
            i == steps - 1 and steps < FEW and self.config.lower_order_final is not False
        )
        before = None if first_order else self.memory[self.follows]
        self.memory = {self.follows: foreseen}
        return self.advance(x, foreseen, before, i)

    def advance(self, x: mx.array, foreseen: mx.array, before: mx.array | None, i: int) -> mx.array:
        """Latents after step `i`; before: what was foreseen in the step before, None for a step of
        first order.
        """
        return advance(
            x,
            foreseen,
            self.here[i],
            self.there[i],
            None if before is None else (self.here[i - 1], before),
        )
