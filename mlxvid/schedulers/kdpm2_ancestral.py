"""The second order of DPM-Solver in Karras' scale with a part of the noise drawn afresh in every
step; two model calls a step.
"""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import numpy as np

from .ancestral import Ancestral
from .base import Model
from .euler_discrete import EulerDiscrete
from .noise import NoiseConfig, Road, clip_in, times_of


class KDPM2Ancestral(Ancestral, EulerDiscrete):
    """Each step goes further than to its end, by the noise foreseen in its middle, and what is
    drawn brings it back.

    The middle, in the logarithm of sigma, is just the level of the step's end. Equal to Diffusers'
    KDPM2AncestralDiscreteScheduler (k-diffusion's sample_dpm_2_ancestral).
    """

    def road(self, steps: int, config: NoiseConfig) -> Road:
        times, here, there = super().road(steps, replace(config, final_sigmas_type="zero"))
        # The model's second calls are made where the levels are, which a whole timestep only comes
        # near to.
        middles = times_of(
            np.array([level.noise / level.signal for level in there[:-1]]), config.ratios()
        )
        self.middles = middles / config.num_train_timesteps
        return Road(times.round() if config.use_karras_sigmas else times, here, there)

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        here, there = self.here[i], self.there[i]
        guess = self.move(x, model(x, self.times[i].item()), here, there)
        if there.noise == 0:
            return guess
        _, noise = self.split(guess, model(guess, self.middles[i].item()), there)
        return self.renewed(clip_in(x, noise, here), noise, i)
