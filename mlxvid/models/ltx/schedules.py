"""The sigmas of LTX-Video's releases: float64 [steps + 1], from noise to where the run ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .recipes import Pass, Schedule

# Of the linear-quadratic schedule: the noise that the linear steps take away.
THRESHOLD = 0.025
# Of the schedule by tokens: the shift (its logarithm) at two numbers of tokens, and the last sigma.
SHIFTS = ((1024, 0.95), (4096, 2.05))
TERMINAL = 0.1


def linear_quadratic(steps: int) -> np.ndarray:
    """The schedule from release 0.9.5 on: a first half of small even steps, then growing ones.

    Of Movie Gen (arXiv:2410.13720), as `linear_quadratic_schedule` of Diffusers' pipeline.
    """
    if steps < 2:
        return np.array([1.0, 0.0])
    linear = steps // 2
    even = THRESHOLD / linear
    numbers = np.arange(steps - linear + 1)
    # From the threshold on, what is taken away grows with the square, to 1 at the end, and goes on
    # with the slope of the even steps.
    first = even * np.arange(linear)
    slope = even * numbers
    rest = 1 - THRESHOLD - even * numbers[-1]
    taken = np.concatenate([first, THRESHOLD + slope + rest * (numbers / numbers[-1]) ** 2])
    return 1 - taken


def token_shifted(steps: int, tokens: int) -> np.ndarray:
    """The schedule of releases 0.9.0 and 0.9.1: shifted by the number of tokens of the latents.

    Even sigmas, shifted towards noise (arXiv:2403.03206), then stretched to end at
    :data:`TERMINAL`, then 0. Beyond the two numbers of tokens the shift goes on as between them.
    Diffusers' FlowMatchEulerDiscreteScheduler with dynamic shifting and `shift_terminal`.
    """
    (fewer, low), (more, high) = SHIFTS
    mu = low + (high - low) * (tokens - fewer) / (more - fewer)
    even = np.linspace(1.0, 1 / steps, steps)
    shifted = even / (even + math.exp(-mu) * (1 - even))
    clean = 1 - shifted
    if steps > 1:
        clean *= (1 - TERMINAL) / clean[-1]
    return np.append(1 - clean, 0.0)


def given(times: Sequence[float], end: float = 0.0) -> np.ndarray:
    """The schedule of a list of times, as distilled releases have it; the last step goes to `end`.

    Times at or below the end are left out: steps from there move nothing.
    """
    return np.array([*(time for time in times if time > end), end], np.float64)


def sigmas_of(run: Pass, schedule: Schedule, tokens: int) -> np.ndarray:
    """Those of a pass of a recipe, [evaluations + 1], the last one 0.

    schedule: of passes whose times are not given. tokens: of the latents.
    """
    if run.times:
        return given(run.given)
    if schedule == "token-shifted":
        sigmas = token_shifted(run.steps, tokens)
    else:
        sigmas = linear_quadratic(run.steps)
    taken = sigmas[run.skip_first : run.steps - run.skip_last]
    return np.append(taken, 0.0)
