"""How often a clip's network is evaluated. No MLX here."""

from __future__ import annotations

from .caching import LEAST_STEPS, first_full
from .samplers import evaluations


def evaluations_of(steps: int, passes: int, sampler: str, cache: str = "off") -> tuple[int, int]:
    """The least and the most evaluations of a stage's network, each of one row of conditions.

    passes: rows a call. cache: what leaves some out, at best all between the first ones and the
    last one that it has to compute.
    """
    a_step = passes * evaluations(sampler)
    most = steps * a_step
    if cache == "off" or steps < LEAST_STEPS:
        return most, most
    return (first_full(cache, steps) + 1) * a_step, most
