"""The steps in which guidance pulls. No MLX here."""

from __future__ import annotations


def is_within(number: int, steps: int, interval: tuple[float, float]) -> bool:
    """Whether step `number` of so many lies in an interval of their shares, as Diffusers' guiders
    count them.
    """
    start, stop = interval
    return int(start * steps) <= number < int(stop * steps)
