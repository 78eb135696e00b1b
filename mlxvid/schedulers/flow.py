"""Rectified flows: the spacings of their sigmas, and their methods.

Latents are x(s) = (1 - s) x0 + s noise, and the model predicts the velocity dx/ds = noise - x0
(Liu et al., arXiv:2209.03003).
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

from .base import FreshNoise, Level, Predict, Scheduler

Spacing = Callable[[int, float], np.ndarray]
"""spacing(steps, shift): sigmas from 1 to 0, float64 [steps + 1]."""


def shifted(sigmas: np.ndarray, shift: float) -> np.ndarray:
    """Sigmas moved towards noise: s -> shift * s / (1 + (shift - 1) * s).

    Esser et al., arXiv:2403.03206, eq. 23. A shift of 1 changes nothing.
    """
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def flow_sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """Sigmas from 1 to 0, float64 [steps + 1], evenly spaced and then shifted."""
    return shifted(np.linspace(1.0, 0.0, steps + 1), shift)


def trained_sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """Sigmas from 1 to the least one of the training, and then 0, float64 [steps + 1].

    The spacing of Diffusers' FlowMatchEulerDiscreteScheduler, which shifts its least sigma, a
    thousandth, twice.
    """
    least = shifted(np.array(1 / 1000), shift)
    return np.append(shifted(np.linspace(1.0, least, steps), shift), 0.0)


class FlowScheduler(Scheduler):
    """A sampler of a rectified flow.

    sigmas: float64 [steps + 1]. times: float64 [steps].
    """

    is_flow = True

    def __init__(self, sigmas: np.ndarray, times: np.ndarray):
        self.sigmas = sigmas
        self.times = times
        self.levels = [Level(1 - sigma, sigma) for sigma in sigmas.tolist()]

    def _x0(self, x: mx.array, output: mx.array, i: int) -> mx.array:
        return x - self.sigmas[i].item() * output


class FlowEuler(FlowScheduler):
    """Euler's method (arXiv:2209.03003).

    spacing: :func:`flow_sigmas`, Diffusers' :func:`trained_sigmas`, or one of a model's own.
    """

    def __init__(self, steps: int, shift: float = 1.0, spacing: Spacing = flow_sigmas):
        sigmas = spacing(steps, shift)
        super().__init__(sigmas, sigmas[:-1])

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        velocity = predict(x, self.times[i].item())
        h = (self.sigmas[i + 1] - self.sigmas[i]).item()
        return x + h * velocity, self._x0(x, velocity, i)


class FlowStochastic(FreshNoise, FlowEuler):
    """Each step goes to x0 as it is predicted, and back with fresh noise.

    Consistency models' sampling (arXiv:2303.01469, algorithm 1), for models distilled to few steps.
    Diffusers' FlowMatchEulerDiscreteScheduler with `stochastic_sampling`.
    """

    def __init__(
        self, steps: int, shift: float = 1.0, spacing: Spacing = flow_sigmas, seed: int = 0
    ):
        super().__init__(steps, shift, spacing)
        self.seed = seed

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        x0 = self._x0(x, predict(x, self.times[i].item()), i)
        return self.noised(x0, self.fresh_noise(x, i), i + 1), x0


class FlowHeun(FlowEuler):
    """Heun's method: the mean of the velocities at both ends of the step, of second order.

    The last step, to sigma 0, is Euler's, since no model was trained at 0.
    """

    evaluations = 2

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        sigma = self.sigmas[i].item()
        sigma_next = self.sigmas[i + 1].item()
        h = sigma_next - sigma
        velocity = predict(x, sigma)
        x0 = self._x0(x, velocity, i)
        euler = x + h * velocity
        if sigma_next == 0:
            return euler, x0
        return x + h * 0.5 * (velocity + predict(euler, sigma_next)), x0
