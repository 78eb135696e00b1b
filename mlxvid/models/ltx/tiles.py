"""Tiles of a large pass: the network sees a part of the picture at a time, in all frames.

Each token's velocity is the mean of those that the tiles it is in give it, weighted so that one
tile fades into the next (MultiDiffusion, arXiv:2302.08113). Positions stay those in the whole
picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Latent positions of a picture that are denoised at once: those of the second pass towards
# 1216x704, the largest that the releases were made for.
LARGEST = 50 * 28
# Latent positions that neighbouring tiles have in common.
OVERLAP = 8


class Tile(NamedTuple):
    """index: the tokens in it, ascending. weight float32 [n]: each one's share of its velocity."""

    index: np.ndarray
    weight: np.ndarray


def everything(coords: np.ndarray) -> Tile:
    """All tokens at once. coords: [3, N]."""
    count = coords.shape[1]
    return Tile(np.arange(count), np.ones(count, np.float32))


def tiles(coords: np.ndarray, height: int, width: int, side: int) -> list[Tile]:
    """The tiles of a picture of height x width latent positions of `side` pixels; one with all
    tokens where it is small enough.

    coords: float32 [3, N], of which the last two are the tokens' y and x in pixels.
    """
    rows, columns = grid(height, width)
    y_weights = _weights(height, rows)[:, (coords[1] / side).astype(int)]
    x_weights = _weights(width, columns)[:, (coords[2] / side).astype(int)]
    found = []
    for y_weight in y_weights:
        for x_weight in x_weights:
            weight = y_weight * x_weight
            index = np.flatnonzero(weight)
            found.append(Tile(index, weight[index].astype(np.float32)))
    return found


def grid(height: int, width: int) -> tuple[int, int]:
    """How many rows and columns of tiles a picture is cut into: as few tiles as are small enough,
    and of those the ones that are most like squares.
    """
    best = None
    for count in range(1, height * width + 1):
        for rows in _divisors(count):
            high = _longest(height, rows)
            wide = _longest(width, count // rows)
            if high is None or wide is None or high * wide > LARGEST:
                continue
            likeness = abs(math.log(high / wide))
            if best is None or likeness < best[0]:
                best = (likeness, (rows, count // rows))
        if best is not None:
            return best[1]
    raise AssertionError("a tile of one position is small enough")


def largest_tile(height: int, width: int) -> tuple[int, int]:
    """Height and width of the largest tile of a picture, in latent positions."""
    rows, columns = grid(height, width)
    return _longest(height, rows) or height, _longest(width, columns) or width


def _divisors(count: int) -> Sequence[int]:
    return [n for n in range(1, count + 1) if count % n == 0]


def _longest(length: int, count: int) -> int | None:
    """Positions of the longest of `count` tiles along a side; None where they would be little more
    than overlap.
    """
    if count == 1:
        return length
    longest = max(stop - start for start, stop in _spans(length, count))
    return longest if longest > 2 * OVERLAP else None


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    """`count` parts of a side that overlap by :data:`OVERLAP`, as long as each other but for one
    position.
    """
    inner = length + (count - 1) * OVERLAP
    ends = [round(i * inner / count) for i in range(count + 1)]
    return [
        (start - i * OVERLAP, stop - i * OVERLAP)
        for i, (start, stop) in enumerate(zip(ends, ends[1:], strict=False))
    ]


def _weights(length: int, count: int) -> np.ndarray:
    """Of each part of a side: the weight of each position, [count, length]; together 1."""
    weights = np.zeros((count, length))
    for i, (start, stop) in enumerate(_spans(length, count)):
        weights[i, start:stop] = 1
        ramp = (np.arange(OVERLAP) + 1) / (OVERLAP + 1)
        if i > 0:
            weights[i, start : start + OVERLAP] = ramp
        if i < count - 1:
            weights[i, stop - OVERLAP : stop] = ramp[::-1]
    return weights
