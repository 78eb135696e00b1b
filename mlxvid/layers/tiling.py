"""Processing a clip in chunks of frames and tiles of pixels, so that they bound the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mlx.core as mx


def chunks(x: mx.array, size: int, spare: int = 0) -> Iterator[mx.array]:
    """Parts of `size` frames of [B, F, ...], in order.

    The first has `spare` frames more, or fewer where it is negative.
    """
    start = 0
    stop = size + spare
    while start < x.shape[1]:
        yield x[:, start:stop]
        start = stop
        stop += size


def spans(length: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Cut `length` into parts of at most `tile`.

    Yields for each what to read, with a halo on both sides, and what of the reading to keep.
    """
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        low = max(0, start - halo)
        high = min(length, stop + halo)
        yield slice(low, high), slice(start - low, stop - low)


def tiled(
    function: Callable[[mx.array, int], mx.array],
    x: mx.array,
    tile: int,
    halo: int,
    up: int = 1,
    down: int = 1,
) -> mx.array:
    """Apply `function(part, number)` to [B, F, H, W, C] in tiles, each read with a halo.

    tile: positions on a side; halo: positions read beyond each side. up, down: the result has
    up/down times as many positions a side; `tile` and `halo` must be multiples of `down`. Tiles
    are numbered from 0, always in the same order. Where `halo` covers the function's receptive
    field the result is that of one pass: no seams, nothing to blend. Each tile is evaluated before
    the next begins.
    """
    if max(x.shape[2:4]) <= tile:
        return function(x, 0)
    rows = []
    number = 0
    for read_y, keep_y in spans(x.shape[2], tile, halo):
        row = []
        for read_x, keep_x in spans(x.shape[3], tile, halo):
            part = function(x[:, :, read_y, read_x], number)
            inner = part[:, :, _scaled(keep_y, up, down), _scaled(keep_x, up, down)]
            inner = mx.contiguous(inner)  # a copy, without the halo's memory
            mx.eval(inner)
            row.append(inner)
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
    """Apply `function(part, number)` to [B, F, H, W, C] in overlapping tiles and blend them.

    For functions that see the whole picture: tiles then give a result near that of one pass, not
    the same. There is a tile of `tile` x `tile` positions every `stride`. Where tiles overlap, the
    one above and then the one to the left fade linearly into the next, as in `tiled_decode` of
    Diffusers' autoencoders. `up`, `down` and numbers as in :func:`tiled`; `tile` and `stride` must
    be multiples of `down`. Each tile is evaluated before the next begins.
    """
    if max(x.shape[2:4]) <= tile:
        return function(x, 0)
    rows = blended_rows(function, x, (tile, tile), (stride, stride), up, down)
    return mx.concatenate(list(rows), axis=2)


def blended_rows(
    function: Callable[[mx.array, int], mx.array],
    x: mx.array,
    tile: tuple[int, int],
    stride: tuple[int, int],
    up: int = 1,
    down: int = 1,
) -> Iterator[mx.array]:
    """The rows of tiles of :func:`blended`, from the top, to be joined along the height.

    tile, stride: heights and widths.
    """
    steps = [length * up // down for length in stride]
    overlaps = [(a - b) * up // down for a, b in zip(tile, stride, strict=True)]
    above: list[mx.array] = []
    number = 0
    for top in range(0, x.shape[2], stride[0]):
        row: list[mx.array] = []
        below: list[mx.array] = []
        left: mx.array | None = None
        for column, start in enumerate(range(0, x.shape[3], stride[1])):
            part = function(x[:, :, top : top + tile[0], start : start + tile[1]], number)
            if above:
                part = _fade(above[column], part, overlaps[0], axis=2)
            if left is not None:
                part = _fade(left, part, overlaps[1], axis=3)
            # Copies, so that only one tile is held whole.
            row.append(mx.contiguous(part[:, :, : steps[0], : steps[1]]))
            below.append(mx.contiguous(part[:, :, max(0, part.shape[2] - overlaps[0]) :]))
            left = mx.contiguous(part[:, :, :, max(0, part.shape[3] - overlaps[1]) :])
            mx.eval(row[-1], below[-1], left)
            number += 1
        yield mx.concatenate(row, axis=3)
        above = below


def _fade(a: mx.array, b: mx.array, overlap: int, axis: int) -> mx.array:
    """`b`, whose first `overlap` positions along `axis` fade linearly from the end of `a`."""
    overlap = min(a.shape[axis], b.shape[axis], overlap)
    shape = [1] * b.ndim
    shape[axis] = -1
    share = (mx.arange(overlap) / overlap).astype(b.dtype).reshape(shape)
    begin, rest = mx.split(b, [overlap], axis=axis)
    end = mx.split(a, [a.shape[axis] - overlap], axis=axis)[1]
    return mx.concatenate([end * (1 - share) + begin * share, rest], axis=axis)


def blended_in_time(
    function: Callable[[mx.array], mx.array],
    x: mx.array,
    tile: int,
    stride: int,
    up: int = 1,
    down: int = 1,
) -> Iterator[mx.array]:
    """Apply `function(part)` to a clip [B, 1 + k, ...] in overlapping parts, and blend these.

    For causal networks, to which a part's first frame stands for one frame and the others for
    several: there is a part of 1 + `tile` frames every `stride`, and of all but the first part the
    result's first frame is dropped. Where parts overlap, the earlier fades linearly into the later,
    as in `_temporal_tiled_decode` of Diffusers' autoencoders. up, down: how many times as many, or
    as few, frames there are besides the first. Yields the result's frames in order, part by part.
    """
    step = stride * up // down
    overlap = (tile - stride) * up // down
    before = mx.zeros(0)
    for start in range(0, max(1, x.shape[1] - 1), stride):
        y = function(x[:, start : start + tile + 1])
        if start:
            y = _fade(before, y[:, 1:], overlap, axis=1)
        made = mx.contiguous(y[:, : step if start else step + 1])
        before = mx.contiguous(y[:, -overlap:])
        del y
        mx.eval(made, before)
        yield made
