"""RIFLEx's rotary tables by the formula of its paper (arXiv:2502.15894), equation by equation."""

from __future__ import annotations

import math

import numpy as np


def frequencies(dim: int, theta: float, k: int, length: int) -> list[float]:
    """All of them, the k-th (from 1) such that `length` positions are 0.9 of its period."""
    found = []
    for j in range(1, dim // 2 + 1):
        found.append(1.0 / math.pow(theta, 2 * (j - 1) / dim))
    found[k - 1] = 0.9 * 2 * math.pi / length
    return found


def tables(dim: int, theta: float, k: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin [length, dim/2] of the positions 0, 1, …, in float64."""
    angles = [[place * f for f in frequencies(dim, theta, k, length)] for place in range(length)]
    return np.cos(angles), np.sin(angles)


def read_back(cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """The frequencies of tables, from their second position; they are below pi."""
    return np.arctan2(sin[1].astype(np.float64), cos[1].astype(np.float64))
