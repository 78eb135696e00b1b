"""Exponential integrators of second order: DPM-Solver++ and DEIS."""

from __future__ import annotations

import math
from dataclasses import replace

import mlx.core as mx
import numpy as np

from .base import Level, Predict, combine
from .noise import (
    NoiseConfig,
    NoiseScheduler,
    Trajectory,
    karras_ratios,
    levels_from_ratios,
    times_from_ratios,
    x0_from_noise,
)

# With fewer steps than this the last one is of first order, which is more stable.
FEW_STEPS = 15


def advance(
    x: mx.array,
    x0: mx.array,
    start: Level,
    end: Level,
    other: tuple[Level, mx.array] | None = None,
    end_x0: mx.array | None = None,
) -> mx.array:
    """Latents at `end`, from latents `x` at `start` and predictions of x0.

    The linear part of the equation is solved exactly, in the logarithm of the signal-to-noise
    ratio; what is approximated is how the predicted x0 changes over the step.

    x0: predicted at `start`. other: another level, before the step or inside it, and the x0
    predicted there: makes the step one of second order (DPM-Solver++ 2M and 2S, arXiv:2211.01095,
    and UniP-2, arXiv:2302.04867: the same numbers). end_x0: predicted at `end`: raises the order by
    one more (UniC with B2(h), arXiv:2302.04867).
    """
    if end.noise == 0:
        return x0  # the logarithm is infinite there
    h = _log_snr(end) - _log_snr(start)
    growth = math.expm1(-h)
    other_weight = 0.5
    end_weight = 0.5
    mean = x0
    if other is not None:
        other_level, other_x0 = other
        ratio = (_log_snr(other_level) - _log_snr(start)) / h
        if end_x0 is not None:
            other_weight, end_weight = _corrector_weights(h, growth, ratio)
        mean = mean + other_weight / ratio * (other_x0 - x0)
    if end_x0 is not None:
        mean = mean + end_weight * (end_x0 - x0)
    return end.noise / start.noise * x - end.signal * growth * mean


def _log_snr(level: Level) -> float:
    return math.log(level.signal / level.noise)


def _corrector_weights(h: float, growth: float, ratio: float) -> tuple[float, float]:
    """The weights of the differences of the other x0 and of the end's in a step of length `h`.

    growth: e^-h - 1. ratio: how far the other level is from the start, in steps.
    """
    first = growth / -h - 1
    second = first / -h - 0.5
    matrix = [[1.0, 1.0], [ratio, 1.0]]
    other_weight, end_weight = np.linalg.solve(matrix, [first / growth, 2 * second / growth])
    return float(other_weight), float(end_weight)


class ExponentialScheduler(NoiseScheduler):
    """A sampler on whole timesteps, whose step to x0 is about as long as the others."""

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        table = config.ratios()
        times = config.whole_times(steps, "linspace", spare=1)
        ratios = table[times]
        if config.use_karras_sigmas:
            ratios = karras_ratios(table[-1], table[0], steps)
            times = times_from_ratios(config, ratios).round()
        return Trajectory.connected(times, levels_from_ratios(config, ratios))


class DPMSolver(ExponentialScheduler):
    """DPM-Solver++ 2M, midpoint: multistep (arXiv:2211.01095).

    Equal to Diffusers' DPMSolverMultistepScheduler with its defaults.
    """

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        x0, noise = self._split(x, predict(x, self.times[i].item()), self.starts[i])
        predicted = self._integrand(x0, noise)
        previous = None if self._is_first_order(i) else self.memory["predicted"]
        self.memory = {"predicted": predicted}
        return self._advance(x, predicted, previous, i), x0

    def _is_first_order(self, i: int) -> bool:
        if i == 0 or not self.memory:  # nothing came before
            return True
        is_last = i == self.steps - 1
        return is_last and self.steps < FEW_STEPS and self.config.lower_order_final is not False

    def _integrand(self, x0: mx.array, noise: mx.array) -> mx.array:
        """The prediction that is interpolated over the steps, and kept for the next one."""
        return x0

    def _advance(
        self, x: mx.array, predicted: mx.array, previous: mx.array | None, i: int
    ) -> mx.array:
        """The latents after step `i`, of first order without the `previous` step's prediction."""
        other = None if previous is None else (self.starts[i - 1], previous)
        return advance(x, predicted, self.starts[i], self.ends[i], other)


class DEIS(DPMSolver):
    """DEIS, log-rho: multistep, on the predicted noise (arXiv:2204.13902).

    It ends at the training's least noise. Equal to Diffusers' DEISMultistepScheduler.
    """

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        return super().trajectory(steps, replace(config, final_sigmas_type="sigma_min"))

    def _integrand(self, x0: mx.array, noise: mx.array) -> mx.array:
        return noise

    def _advance(
        self, x: mx.array, predicted: mx.array, previous: mx.array | None, i: int
    ) -> mx.array:
        start = self.starts[i]
        end = self.ends[i]
        ddim = combine(x0_from_noise(x, predicted, start), predicted, end)
        if previous is None:
            return ddim
        # The noise is linear in the logarithm of rho (noise over signal) through both predictions,
        # and is integrated over rho.
        rho_previous = _rho(self.starts[i - 1])
        rho = _rho(start)
        rho_end = _rho(end)
        slope = (rho_end * (math.log(rho_end / rho) - 1) + rho) / math.log(rho_previous / rho)
        return ddim + end.signal * slope * (previous - predicted)


def _rho(level: Level) -> float:
    return level.noise / level.signal


class DPMSolverSingle(ExponentialScheduler):
    """DPM-Solver++ 2S, midpoint: the second step of each pair redoes the pair in second order.

    arXiv:2211.01095. Equal to Diffusers' DPMSolverSinglestepScheduler, which has one spacing. The
    last step is of first order even as the second of a pair, where it ends at x0 or
    lower_order_final is set.
    """

    def __init__(self, steps: int, config: NoiseConfig, seed: int = 0):
        super().__init__(steps, config, seed)
        ends_at_x0 = config.final_sigmas_type == "zero"
        self.lower_at_end = steps % 2 == 1 or ends_at_x0 or config.lower_order_final is True

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        return super().trajectory(steps, replace(config, timestep_spacing="linspace"))

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        start = self.starts[i]
        end = self.ends[i]
        x0 = self._x0(x, predict(x, self.times[i].item()), i)
        is_last = i == self.steps - 1
        begins = i % 2 == 0 or not self.memory
        if begins or (is_last and self.lower_at_end):
            self.memory = {"x": x, "x0": x0}
            return advance(x, x0, start, end), x0
        pair_x = self.memory["x"]
        pair_x0 = self.memory["x0"]
        return advance(pair_x, pair_x0, self.starts[i - 1], end, (start, x0)), x0
