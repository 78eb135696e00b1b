"""Where the tokens of a clip are: sines (2B), and rotary tables (5B and 1.5).

The maths is that of Diffusers' get_3d_sincos_pos_embed and get_3d_rotary_pos_embed.
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from mlxvid.kernels import Rotary
from mlxvid.layers.pixart import sines
from mlxvid.layers.rope import rope_1d

ROPE_THETA = 10000.0


def sines_3d(
    grid: tuple[int, int, int], dim: int, time_scale: float, space_scale: float
) -> mx.array:
    """Position embedding of a grid (time, height, width) of tokens, float32 [t*h*w, dim].

    A quarter of the channels is for time, three eighths for the column, as many for the row.
    Positions are divided by the scales.
    """
    of_frame = sines(mx.arange(grid[0]) / time_scale, dim // 4)
    of_row = sines(mx.arange(grid[1]) / space_scale, 3 * dim // 8)
    of_column = sines(mx.arange(grid[2]) / space_scale, 3 * dim // 8)
    parts = [_spread(of_frame, grid, 0), _spread(of_column, grid, 2), _spread(of_row, grid, 1)]
    return mx.concatenate(parts, axis=-1).reshape(-1, dim)


def rotary(
    grid: tuple[int, int, int],
    dim: int,
    base: tuple[int, int] | None,
    text: int,
    lowered: tuple[int, int] | None = None,
) -> Rotary:
    """Rotary tables for `text` tokens, which stay as they are, and a grid (time, height, width).

    dim: channels a head; a quarter is for time, three eighths each for row and column. base: the
    (height, width) of the training's grid, into which rows and columns are fitted; None: they are
    counted from 0. lowered: a frequency in time, as in :func:`mlxvid.layers.rope.rope_1d`.
    """
    positions = [np.arange(side, dtype=np.float64) for side in grid]
    if base is not None:
        positions[1:] = fitted(grid[1:], base)
    dims = (dim // 4, 3 * dim // 8, 3 * dim // 8)
    cosines = []
    sines_ = []
    for axis, (places, channels) in enumerate(zip(positions, dims, strict=True)):
        changed = lowered if axis == 0 else None
        cos, sin = rope_1d(places, channels, ROPE_THETA, changed)
        cosines.append(_spread(cos, grid, axis))
        sines_.append(_spread(sin, grid, axis))
    cos = mx.concatenate(cosines, axis=-1).reshape(-1, dim // 2)
    sin = mx.concatenate(sines_, axis=-1).reshape(-1, dim // 2)
    return Rotary(
        mx.concatenate([mx.ones((text, dim // 2)), cos]),
        mx.concatenate([mx.zeros((text, dim // 2)), sin]),
        "interleaved",
    )


def fitted(sides: tuple[int, int], base: tuple[int, int]) -> list[np.ndarray]:
    """Positions of rows and of columns in the training's grid, float32: the largest region of the
    same proportions in the middle of it.

    From where the region begins; but, as in the reference, to the end's (n - 1)/n, not to a step
    before the end.
    """
    height, width = sides
    base_height, base_width = base
    if height / width > base_height / base_width:
        region = (base_height, round(base_height / height * width))
    else:
        region = (round(base_width / width * height), base_width)
    positions = []
    for side, whole, part in zip(sides, base, region, strict=True):
        start = round((whole - part) / 2.0)
        stop = (start + part) * (side - 1) / side
        positions.append(np.linspace(start, stop, side, dtype=np.float32))
    return positions


def _spread(table: mx.array, grid: tuple[int, int, int], axis: int) -> mx.array:
    """What a table [N, D] has for the positions on one axis, for every token: [t, h, w, D]."""
    along = [1, 1, 1, table.shape[-1]]
    along[axis] = grid[axis]
    return mx.broadcast_to(table.reshape(along), (*grid, table.shape[-1]))
