"""What the benches share: the median time of a call, and how times grow."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np


def seconds(function: Callable[[], object], repeats: int) -> list[float]:
    """The times of `repeats` calls, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    """The median of :func:`seconds`."""
    return statistics.median(seconds(function, repeats))


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The slope of log time over log size by least squares: 1 is linear cost, 2 quadratic."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
