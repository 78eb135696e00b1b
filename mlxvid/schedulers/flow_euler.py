"""Euler's method along the straight road of a rectified flow."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

Velocity = Callable[[mx.array, float], mx.array]


def flow_sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """Shares of noise from 1 to 0, float64 [steps + 1], evenly spaced and then shifted towards noise.

    shift: s -> shift * s / (1 + (shift - 1) * s) (Esser et al. 2024, arXiv:2403.03206, eq. 23); 1 leaves them even.
    """
    sigmas = np.linspace(1.0, 0.0, steps + 1)
    return shift * sigmas / (1 + (shift - 1) * sigmas)


class FlowEuler:
    """x(s) = (1 - s) clip + s noise, so dx/ds = noise - clip, which is what the model predicts (arXiv:2209.03003)."""

    def __init__(self, steps: int, shift: float = 1.0):
        self.sigmas = flow_sigmas(steps, shift)

    def step(self, velocity: Velocity, x: mx.array, i: int) -> mx.array:
        """Latents at sigmas[i + 1] from float32 latents `x` at sigmas[i]. `velocity(x, sigma)` calls the model."""
        return x + (self.sigmas[i + 1] - self.sigmas[i]).item() * velocity(x, self.sigmas[i].item())

    def clean(self, x: mx.array, v: mx.array, i: int) -> mx.array:
        """What the clip would be if the road from `x` at sigmas[i] were straight: the preview."""
        return x - self.sigmas[i].item() * v
