"""UniPC for diffusion models."""

from __future__ import annotations

from .exponential import ExponentialScheduler
from .noise import NoiseConfig
from .unipc import Corrected


class UniPCDiscrete(Corrected, ExponentialScheduler):
    """UniPC of second order, B2(h) (arXiv:2302.04867). Equal to Diffusers' UniPCMultistepScheduler
    with its defaults.
    """

    def __init__(self, steps: int, config: NoiseConfig, seed: int = 0):
        super().__init__(steps, config, seed)
        self.lower_at_end = config.lower_order_final is not False
