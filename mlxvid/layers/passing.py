"""A clip through layers one after the other, a few frames at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import mlx.core as mx

from . import bounds
from .conv import Stream
from .tiling import chunks

Layer = Callable[[mx.array, Stream], mx.array]

Part = tuple[mx.array, bool]
"""Frames [B, F, H, W, C] of a clip, and whether they are its last."""


def passed(layers: Iterable[Layer], x: mx.array, positions: int) -> Iterator[mx.array]:
    """Pass the clip `x` [B, F, H, W, C] through `layers`; yields the result's frames in order.

    As soon as a layer has frames for the next one, that one works on them: a few frames of each
    layer are in memory, however long the clip. Results that come late (:class:`Stream`) wait for
    their frames layer by layer, and are those of one pass. positions: frames x height x width that
    a layer works on at once, but one frame at least; each time is evaluated.
    """
    parts = _pieces(x, positions, last=True)
    for layer in layers:
        parts = _through(layer, parts, positions)
    for part, _ in parts:
        yield part


def _pieces(x: mx.array, positions: int, last: bool) -> Iterator[Part]:
    size = max(1, int(positions * bounds.share()) // (x.shape[2] * x.shape[3]))
    pieces = deque(chunks(x, size))
    del x
    while pieces:
        yield pieces.popleft(), last and not pieces


def _through(layer: Layer, parts: Iterator[Part], positions: int) -> Iterator[Part]:
    stream = Stream()
    for part in parts:
        pieces = _pieces(part[0], positions, part[1])
        del part  # a name for the frames would hold them while the next layers work
        for piece in pieces:
            stream.last = piece[1]
            made = [_evaluated(layer, piece[0], stream)]
            del piece
            if made[0].shape[1]:
                yield made.pop(), stream.last


def _evaluated(layer: Layer, x: mx.array, stream: Stream) -> mx.array:
    y = layer(x, stream)
    if not y.shape[1]:
        mx.eval(stream.arrays())
        return y
    mx.eval(y, stream.arrays())
    bounds.evaluate(y)
    return y
