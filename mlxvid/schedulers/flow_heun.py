"""Heun's method along a rectified flow: second order, two model calls a step."""

from __future__ import annotations

import mlx.core as mx

from .base import Model
from .flow_euler import FlowEuler


class FlowHeun(FlowEuler):
    """The trapezium rule: the mean of the velocities at both ends of the step. The last step, into
    no noise at all, is Euler's.
    """

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        here, there = self.sigmas[i].item(), self.sigmas[i + 1].item()
        v = model(x, here)
        guess = x + (there - here) * v
        if there == 0:
            return guess
        return x + (there - here) * 0.5 * (v + model(guess, there))
