"""Bilinear resizing of frames and latents."""

from __future__ import annotations

import mlx.core as mx
import numpy as np


def bilinear(x: mx.array, height: int, width: int) -> mx.array:
    """[..., H, W, C], of any type, resized to [..., height, width, C].

    Each result is taken between the four nearest positions, whose centres are at halves: PyTorch's
    interpolate with mode="bilinear" and align_corners=False, which does not smooth what it reduces.
    It is float32, but for `x` of that size already, which is given back.
    """
    if x.shape[-3:-1] == (height, width):
        return x
    rows = mx.array(_weights(x.shape[-3], height))
    columns = mx.array(_weights(x.shape[-2], width))
    *front, h, w, c = x.shape
    flat = x.astype(mx.float32).reshape(-1, h, w * c)
    flat = (rows @ flat).reshape(-1, w, c)
    flat = columns @ flat
    return flat.reshape(*front, height, width, c)


def _weights(length: int, new_length: int) -> np.ndarray:
    """Of each new position in one axis: how much of each old one it has, [new_length, length]."""
    places = (np.arange(new_length) + 0.5) * length / new_length - 0.5
    places = places.clip(0, length - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, length - 1)
    share = places - low
    weights = np.zeros((new_length, length), np.float32)
    which = np.arange(new_length)
    np.add.at(weights, (which, low), 1 - share)
    np.add.at(weights, (which, high), share)
    return weights
