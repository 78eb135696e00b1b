"""Layers in a list, applied one after the other: the checkpoints number them so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mlx.core as mx


def chain(layers: Sequence[Callable[[mx.array], mx.array]], x: mx.array) -> mx.array:
    """Apply `layers` to `x`, one after the other."""
    for layer in layers:
        x = layer(x)
    return x
