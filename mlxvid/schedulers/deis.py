"""DEIS: a multistep sampler of second order that follows the noise, where DPM-Solver++ follows the
clip.
"""

from __future__ import annotations

import math
from dataclasses import replace

import mlx.core as mx

from .dpm_solver import DPMSolver
from .noise import NoiseConfig, Road, clip_in, mixed


class DEIS(DPMSolver):
    """DEIS (arXiv:2204.13902), log-rho, which ends at the training's least noise. Equal to
    Diffusers' DEISMultistepScheduler.
    """

    follows = "noise"

    def road(self, steps: int, config: NoiseConfig) -> Road:
        return super().road(steps, replace(config, final_sigmas_type="sigma_min"))

    def advance(self, x: mx.array, foreseen: mx.array, before: mx.array | None, i: int) -> mx.array:
        here, there = self.here[i], self.there[i]
        after = mixed(clip_in(x, foreseen, here), foreseen, there)
        if before is None:
            return after
        # The noise is taken for a line through both in the logarithm of rho, the ratio of noise to
        # signal, and integrated over rho.
        was, now, then = (level.noise / level.signal for level in (self.here[i - 1], here, there))
        slope = (then * (math.log(then / now) - 1) + now) / math.log(was / now)
        return after + there.signal * slope * (before - foreseen)
