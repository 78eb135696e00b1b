"""Frame rates: whole ones, and those of films and television, 1000/1001 of a whole one."""

from __future__ import annotations

import re
from fractions import Fraction
from numbers import Real
from typing import Any

_WHOLE = (24, 30, 48, 60, 120, 240)
"""The rates that NTSC's slower ones, 23.976 to 239.76, are named after (SMPTE ST 12)."""

_NEAR = 0.005
"""So far a rate with two decimals, such as 23.98, is from what it stands for."""

_LARGEST = 1001
"""The largest denominator of a rate in a file."""

_FRACTION = re.compile(r"(\d{1,9})/(0*[1-9]\d{0,8})")


def nearest_rate(fps: float | Fraction) -> Fraction:
    """The exact rate that a finite number stands for: 24000/1001 for 23.976 and for 23.98."""
    return _slowed(float(fps)) or Fraction(fps).limit_denominator(_LARGEST)


def exact(fps: float) -> float:
    """`fps`, or where it is one of NTSC's rates as people round it, that rate."""
    slowed = _slowed(fps)
    return fps if slowed is None else float(slowed)


def _slowed(fps: float) -> Fraction | None:
    for whole in _WHOLE:
        slowed = Fraction(whole * 1000, 1001)
        if abs(fps - float(slowed)) < _NEAR:
            return slowed
    return None


def parse_rate(value: Any) -> float | None:
    """A number, or a fraction as text, such as "24000/1001"; None for anything else."""
    if isinstance(value, str):
        parts = _FRACTION.fullmatch(value)
        return exact(int(parts[1]) / int(parts[2])) if parts else None
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return exact(float(value))
    except OverflowError:
        return None
