"""The exponential integrator that UniPC and DPM-Solver++ share, and where these and DEIS stop on
their way.
"""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np

from .noise import Level, NoiseConfig, NoiseScheduler, Road, ended, karras, place, through, times_of


class ExponentialScheduler(NoiseScheduler):
    """A sampler that stops at whole timesteps only, spaced so that the step to the end is about as
    long as the others.
    """

    def road(self, steps: int, config: NoiseConfig) -> Road:
        table = config.ratios()
        times = config.whole_times(steps, "linspace", spare=1)
        ratios = table[times]
        if config.use_karras_sigmas:
            ratios = karras(table[-1], table[0], steps)
            times = times_of(ratios, table).round()
        return through(times, [place(ratio) for ratio in ended(ratios, table, config)])


def advance(
    x: mx.array,
    clip: mx.array,
    here: Level,
    there: Level,
    other: tuple[Level, mx.array] | None = None,
    clip_there: mx.array | None = None,
) -> mx.array:
    """Latents at `there` from latents `x` at `here`.

    The part of the road that is known is walked exactly, in the logarithm of the signal-to-noise
    ratio; what is left is how the foreseen clip changes underway. `clip` is foreseen at `here`;
    that of an `other` level, before the step or in it, makes the step one of second order
    (DPM-Solver++ 2M and 2S, arXiv:2211.01095, and UniP-2, arXiv:2302.04867: the same numbers);
    `clip_there` raises the order by one more (UniC, B2(h)).
    """
    if there.noise == 0:
        return clip  # no noise is left, and no logarithm of it
    h = _snr(there) - _snr(here)
    growth = math.expm1(-h)
    ratio = None if other is None else (_snr(other[0]) - _snr(here)) / h
    by_other, by_there = _weights(h, growth, ratio, clip_there is not None)
    change = clip
    if other is not None:
        change = change + by_other / ratio * (other[1] - clip)
    if clip_there is not None:
        change = change + by_there * (clip_there - clip)
    return there.noise / here.noise * x - there.signal * growth * change


def _snr(level: Level) -> float:
    return math.log(level.signal / level.noise)


def _weights(h: float, growth: float, ratio: float | None, corrects: bool) -> tuple[float, float]:
    """How much the changes to the other clip and to the clip there count in a step of length `h`;
    growth: e^-h - 1.
    """
    if ratio is None or not corrects:
        return 0.5, 0.5
    first = growth / -h - 1
    second = first / -h - 0.5
    by_other, by_there = np.linalg.solve(
        [[1.0, 1.0], [ratio, 1.0]], [first / growth, 2 * second / growth]
    ).tolist()
    return by_other, by_there
