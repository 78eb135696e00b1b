"""Working on a clip chunk by chunk and tile by tile, so that memory is bounded by these and not by
the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mlx.core as mx


def chunks(x: mx.array, size: int, spare: int = 0) -> Iterator[mx.array]:
    """Parts of `size` frames of [B, F, ...], in order; the first has `spare` more (fewer where
    negative).
    """
    start, stop = 0, size + spare
    while start < x.shape[1]:
        yield x[:, start:stop]
        start, stop = stop, stop + size


def spans(length: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Cut `length` into parts of at most `tile`: (what to read, with a halo on both sides; what of
    the reading to keep).
    """
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        low, high = max(0, start - halo), min(length, stop + halo)
        yield slice(low, high), slice(start - low, stop - low)


def tiled(
    function: Callable[[mx.array, int], mx.array],
    x: mx.array,
    tile: int,
    halo: int,
    up: int = 1,
    down: int = 1,
) -> mx.array:
    """`function(part, number)` over [B, F, H, W, C] in tiles of `tile` x `tile` positions, each
    read with `halo` more on every side.

    `up`, `down`: the result has up/down times as many positions a side; `tile` and `halo` must be
    multiples of `down`. Tiles are numbered from 0, always in the same order. Where `halo` covers
    the function's receptive field the result is that of one pass: no seams, nothing to blend. Each
    tile is evaluated before the next begins.
    """
    if max(x.shape[2:4]) <= tile:
        return function(x, 0)
    rows, number = [], 0
    for read_y, keep_y in spans(x.shape[2], tile, halo):
        row = []
        for read_x, keep_x in spans(x.shape[3], tile, halo):
            part = function(x[:, :, read_y, read_x], number)
            row.append(
                mx.contiguous(part[:, :, _scaled(keep_y, up, down), _scaled(keep_x, up, down)])
            )  # without the halo's memory
            mx.eval(row[-1])
            number += 1
        rows.append(mx.concatenate(row, axis=3))
    return mx.concatenate(rows, axis=2)


def _scaled(part: slice, up: int, down: int) -> slice:
    return slice(part.start * up // down, part.stop * up // down)


def blended(
    function: Callable[[mx.array, int], mx.array],
    x: mx.array,
    tile: int,
    stride: int,
    up: int = 1,
    down: int = 1,
) -> mx.array:
    """`function(part, number)` over [B, F, H, W, C] in tiles of `tile` x `tile` positions, one
    every `stride`, faded into their neighbours.

    For functions that see the whole picture, of which tiles give something near the one pass and
    not the same. Where tiles overlap, the one above and then the one to the left fade linearly into
    the next, as in `tiled_decode` of Diffusers' autoencoders. `up`, `down` and numbers as in
    :func:`tiled`; `tile` and `stride` must be multiples of `down`. Each tile is evaluated before
    the next.
    """
    if max(x.shape[2:4]) <= tile:
        return function(x, 0)
    overlap, step = (tile - stride) * up // down, stride * up // down
    rows, above, number = [], [], 0
    for y in range(0, x.shape[2], stride):
        row = []
        for column, left in enumerate(range(0, x.shape[3], stride)):
            part = function(x[:, :, y : y + tile, left : left + tile], number)
            if above:
                part = _fade(above[column], part, overlap, axis=2)
            if row:
                part = _fade(row[-1], part, overlap, axis=3)
            mx.eval(part)
            row.append(part)
            number += 1
        rows.append(mx.concatenate([part[:, :, :step, :step] for part in row], axis=3))
        above = row
    return mx.concatenate(rows, axis=2)


def _fade(a: mx.array, b: mx.array, overlap: int, axis: int) -> mx.array:
    """`b` whose beginning along `axis` is the end of `a`, going over linearly into its own in
    `overlap` positions.
    """
    overlap = min(a.shape[axis], b.shape[axis], overlap)
    share = (
        (mx.arange(overlap) / overlap)
        .astype(b.dtype)
        .reshape([-1 if i == axis else 1 for i in range(b.ndim)])
    )
    begin, rest = mx.split(b, [overlap], axis=axis)
    end = mx.split(a, [a.shape[axis] - overlap], axis=axis)[1]
    return mx.concatenate([end * (1 - share) + begin * share, rest], axis=axis)
