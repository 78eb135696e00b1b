"""The multistep exponential integrator that UniPC and DPM-Solver++ share."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np


def advance(
    signals: np.ndarray,
    sigmas: np.ndarray,
    i: int,
    x: mx.array,
    clip: mx.array,
    clip_before: mx.array | None = None,
    clip_after: mx.array | None = None,
) -> mx.array:
    """Latents at i + 1 from latents `x` at i, both of the form signal * clip + sigma * noise.

    The part of the road that is known is walked exactly, in the logarithm of the signal-to-noise ratio; what is left is how the foreseen
    clip changes underway. `clip` is foreseen at i; `clip_before`, at i - 1, makes the step one of second order (DPM-Solver++ 2M,
    arXiv:2211.01095, and UniP-2, arXiv:2302.04867: the same numbers); `clip_after`, at i + 1, raises the order by one more (UniC, B2(h)).
    """
    if sigmas[i + 1] == 0:
        return clip  # no noise is left, and no logarithm of it
    h = _snr(signals, sigmas, i + 1) - _snr(signals, sigmas, i)
    growth = math.expm1(-h)
    ratio = None if clip_before is None else (_snr(signals, sigmas, i - 1) - _snr(signals, sigmas, i)) / h
    before, after = _weights(h, growth, ratio, clip_after is not None)
    change = clip
    if clip_before is not None:
        change = change + before / ratio * (clip_before - clip)
    if clip_after is not None:
        change = change + after * (clip_after - clip)
    return (sigmas[i + 1] / sigmas[i]).item() * x - (signals[i + 1] * growth).item() * change


def _snr(signals: np.ndarray, sigmas: np.ndarray, i: int) -> float:
    return math.log(signals[i] / sigmas[i])


def _weights(h: float, growth: float, ratio: float | None, corrects: bool) -> tuple[float, float]:
    """How much the changes to the clip before and to the clip after count in a step of length `h`; growth: e^-h - 1."""
    if ratio is None or not corrects:
        return 0.5, 0.5
    first = growth / -h - 1
    second = first / -h - 0.5
    before, after = np.linalg.solve([[1.0, 1.0], [ratio, 1.0]], [first / growth, 2 * second / growth]).tolist()
    return before, after
