"""Euler's method along the straight road of a rectified flow."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

from .base import Model, Scheduler

# (steps, shift) -> shares of noise from 1 to 0, float64 [steps + 1].
Spacing = Callable[[int, float], np.ndarray]


def shifted(sigmas: np.ndarray, shift: float) -> np.ndarray:
    """Shares of noise moved towards noise: s -> shift * s / (1 + (shift - 1) * s) (Esser et al.
    2024, arXiv:2403.03206, eq. 23).
    """
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def flow_sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """Shares of noise from 1 to 0, float64 [steps + 1], evenly spaced and then shifted; a shift of
    1 leaves them even.
    """
    return shifted(np.linspace(1.0, 0.0, steps + 1), shift)


def trained_sigmas(steps: int, shift: float = 1.0) -> np.ndarray:
    """As :func:`flow_sigmas`, but step by step down to the least noise of the training, and from
    there to none at all.

    The spacing of Diffusers' FlowMatchEulerDiscreteScheduler: its least share of noise, a
    thousandth, is shifted twice.
    """
    least = shifted(np.float64(1 / 1000), shift)
    return np.append(shifted(np.linspace(1.0, least, steps), shift), 0.0)


class FlowEuler(Scheduler):
    """x(s) = (1 - s) clip + s noise, so dx/ds = noise - clip, which is what the model predicts
    (arXiv:2209.03003).

    spacing: :func:`flow_sigmas`; :func:`trained_sigmas` is what Diffusers' pipelines take; or any
    other of a model's own.
    """

    def __init__(self, steps: int, shift: float = 1.0, spacing: Spacing = flow_sigmas):
        self.sigmas = spacing(steps, shift)
        self.times = self.sigmas[:-1]

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        return x + (self.sigmas[i + 1] - self.sigmas[i]).item() * model(x, self.times[i].item())

    def clean(self, x: mx.array, output: mx.array, i: int) -> mx.array:
        return x - self.sigmas[i].item() * output
