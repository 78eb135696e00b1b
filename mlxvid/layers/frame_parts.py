"""Layers that see all frames of a piece of a clip, worked on a few frames at a time.

A group norm's statistics are over all frames, so each layer needs the whole piece before the next:
within a layer, a few frames go at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

from . import bounds
from .conv import MAX_LAZY_VALUES
from .tiling import chunks

# Positions (frames x height x width) that a layer works on at once, but one frame at least.
POSITIONS = 2**16
NORM_EPS = 1e-6


def part_size(x: mx.array, unit: int = 1, up: int = 1) -> int:
    """Frames of `x` [B, F, H, W, C] that :data:`POSITIONS` allows, a multiple of `unit`.

    up: how many positions become of each.
    """
    b, _, h, w, _ = x.shape
    allowed = int(POSITIONS * bounds.share()) // (b * h * w * up)
    return max(1, allowed // unit) * unit


def in_parts(
    layer: Callable[[mx.array, slice], mx.array],
    x: mx.array,
    frames: int,
    unit: int = 1,
    up: int = 1,
) -> mx.array:
    """Apply `layer(part, of)` to a few frames of `x` at a time, each evaluated alone.

    of: which frames they are. frames: of the result. unit: a part's frames are a multiple of it.
    up: how many positions become of each.
    """
    made = mx.zeros(0)
    start = 0
    place = 0
    for part in chunks(x, part_size(x, unit, up)):
        y = layer(part, slice(start, start + part.shape[1]))
        if y.shape[1] == frames:
            if y.size > MAX_LAZY_VALUES:
                bounds.evaluate(y)
            return y
        if not start:
            made = mx.zeros((y.shape[0], frames, *y.shape[2:]), y.dtype)
        # In place: joined at the end, the parts would take as much again.
        made[:, place : place + y.shape[1]] = y
        bounds.evaluate(made)
        start += part.shape[1]
        place += y.shape[1]
    return made


class GroupNorm(nn.Module):
    """A group norm, over all frames, as what its input is multiplied by and what is added.

    Both are float32 [B, 1, 1, 1, C].
    """

    def __init__(self, groups: int, channels: int):
        super().__init__()
        self.groups = groups
        self.weight = mx.ones((channels,))
        self.bias = mx.zeros((channels,))

    def __call__(self, x: mx.array) -> tuple[mx.array, mx.array]:
        mean = self._mean(x)
        scale = mx.rsqrt(self._mean(x, mean) + NORM_EPS) * self.weight
        return scale, self.bias - mean * scale

    def _mean(self, x: mx.array, centre: mx.array | None = None) -> mx.array:
        """The mean of each channel's group; with a `centre` that of the squares around it."""
        frames = []
        for part in chunks(x, part_size(x)):
            wide = part.astype(mx.float32)
            if centre is not None:
                wide = mx.square(wide - centre)
            # Row by row, then the rows: one sum of millions of values would not be exact.
            frame = wide.mean(axis=3).mean(axis=2)
            mx.eval(frame)
            frames.append(frame)
        channels = mx.concatenate(frames, axis=1).mean(axis=1)
        b, c = channels.shape
        groups = channels.reshape(b, self.groups, -1).mean(axis=-1)
        return mx.repeat(groups, c // self.groups, axis=-1).reshape(b, 1, 1, 1, c)
