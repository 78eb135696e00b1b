"""DPM-Solver++ in pairs of steps: the second of a pair does the whole of it again, in second order."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx

from .base import Model
from .exponential import ExponentialScheduler, advance
from .noise import NoiseConfig, Road


class DPMSolverSingle(ExponentialScheduler):
    """DPM-Solver++ 2S (arXiv:2211.01095), midpoint. Equal to Diffusers'
    DPMSolverSinglestepScheduler, which knows one spacing.

    Where no noise is left at the end, or lower_order_final asks for it, the last step is of first
    order, though it be the second of a pair.
    """

    def __init__(self, steps: int, config: NoiseConfig, seed: int = 0):
        super().__init__(steps, config, seed)
        self.lower_at_end = (
            steps % 2 == 1 or config.final_sigmas_type == "zero" or config.lower_order_final is True
        )

    def road(self, steps: int, config: NoiseConfig) -> Road:
        return super().road(steps, replace(config, timestep_spacing="linspace"))

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        clip = self.clean(x, model(x, self.times[i].item()), i)
        if i % 2 == 0 or (i == len(self.times) - 1 and self.lower_at_end):
            self.memory = {"x": x, "clip": clip}
            return advance(x, clip, self.here[i], self.there[i])
        return advance(
            self.memory["x"],
            self.memory["clip"],
            self.here[i - 1],
            self.there[i],
            (self.here[i], clip),
        )
