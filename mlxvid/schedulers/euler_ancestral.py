"""Euler's method with a part of the noise drawn afresh in every step."""

from __future__ import annotations

from dataclasses import replace

from .ancestral import Ancestral
from .euler_discrete import EulerDiscrete
from .noise import NoiseConfig, Road


class EulerAncestral(Ancestral, EulerDiscrete):
    """DDPM's step between Euler's levels. Equal to Diffusers' EulerAncestralDiscreteScheduler,
    which knows no other ones.
    """

    def road(self, steps: int, config: NoiseConfig) -> Road:
        return super().road(
            steps, replace(config, final_sigmas_type="zero", use_karras_sigmas=False)
        )
