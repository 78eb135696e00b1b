"""FP8 weights: what their 256 codes stand for.

The codes are those of "FP8 Formats for Deep Learning" (arXiv:2209.05433).
"""

from __future__ import annotations

import numpy as np


def _e4m3fn() -> np.ndarray:
    """Four bits of exponent, three of mantissa, no infinities: only all bits set is no number."""
    code = np.arange(256)
    exponent = code >> 3 & 15
    mantissa = code & 7
    normal = np.ldexp(8.0 + mantissa, exponent - 10)
    subnormal = np.ldexp(mantissa.astype(float), -9)
    values = np.where(exponent > 0, normal, subnormal)
    values[code & 127 == 127] = np.nan
    return np.where(code < 128, values, -values).astype(np.float32)


def _e5m2() -> np.ndarray:
    """Five bits of exponent and two of mantissa: the upper half of a float16."""
    return (np.arange(256, dtype=np.uint16) << 8).view(np.float16).astype(np.float32)


FP8 = {"float8_e4m3fn": _e4m3fn(), "float8_e5m2": _e5m2()}
"""float32 [256] by the type's name: the value of every code."""
