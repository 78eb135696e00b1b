"""Working on a picture tile by tile, so that memory is bounded by the tile and not by the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mlx.core as mx


def spans(length: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Cut `length` into parts of at most `tile`: (what to read, with a halo on both sides; what of the reading to keep)."""
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        low, high = max(0, start - halo), min(length, stop + halo)
        yield slice(low, high), slice(start - low, stop - low)


def tiled(function: Callable[[mx.array, int], mx.array], x: mx.array, tile: int, halo: int, up: int = 1, down: int = 1) -> mx.array:
    """`function(part, number)` over [B, F, H, W, C] in tiles of `tile` x `tile` positions, each read with `halo` more on every side.

    `up`, `down`: the result has up/down times as many positions a side; `tile` and `halo` must be multiples of `down`. Tiles are
    numbered from 0, always in the same order. Where `halo` covers the function's receptive field the result is that of one pass:
    no seams, nothing to blend. Each tile is evaluated before the next begins.
    """
    if max(x.shape[2:4]) <= tile:
        return function(x, 0)
    rows, number = [], 0
    for read_y, keep_y in spans(x.shape[2], tile, halo):
        row = []
        for read_x, keep_x in spans(x.shape[3], tile, halo):
            part = function(x[:, :, read_y, read_x], number)
            row.append(part[:, :, _scaled(keep_y, up, down), _scaled(keep_x, up, down)])
            mx.eval(row[-1])
            number += 1
        rows.append(mx.concatenate(row, axis=3))
    return mx.concatenate(rows, axis=2)


def _scaled(part: slice, up: int, down: int) -> slice:
    return slice(part.start * up // down, part.stop * up // down)
