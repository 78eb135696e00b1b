"""DPM-Solver++: a multistep sampler of second order for diffusion models."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx
import numpy as np

from .base import Model
from .euler_discrete import ended, karras, place, times_of
from .exponential import advance
from .noise import NoiseConfig, NoiseScheduler

# In fewer steps than this the last one is of first order, which is steadier.
FEW = 15


class DPMSolver(NoiseScheduler):
    """DPM-Solver++ 2M (arXiv:2211.01095), midpoint. Equal to Diffusers' DPMSolverMultistepScheduler with its defaults."""

    def __init__(self, steps: int, config: NoiseConfig):
        table = config.ratios()
        times = config.whole_times(steps, "linspace", spare=1)
        ratios = table[times]
        if config.use_karras_sigmas:
            ratios = karras(table[-1], table[0], steps)
            times = times_of(ratios, table).round()
        places = [place(ratio) for ratio in ended(ratios, table, config)]
        super().__init__(config, times, places[:-1], places[1:])
        self.signals = np.array([level.signal for level in places])
        self._clip: mx.array | None = None

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        clip = self.clean(x, model(x, self.times[i].item()), i)
        steps = len(self.times)
        first_order = i == 0 or (i == steps - 1 and steps < FEW and self.config.lower_order_final)
        before = None if first_order else self._clip
        self._clip = clip
        return advance(self.signals, self.sigmas, i, x, clip, before)

    def state(self) -> dict[str, mx.array]:
        return {} if self._clip is None else {"clip": self._clip}

    def restore(self, state: Mapping[str, mx.array]) -> None:
        self._clip = state.get("clip")
