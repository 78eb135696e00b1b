"""Space and time to depth, and back: pixels <-> patches, latents <-> tokens."""

from __future__ import annotations

import mlx.core as mx


def fold(x: mx.array, t: int, p: int) -> mx.array:
    """Stack the values of blocks of t x p x p: [B, F*t, H*p, W*p, C] -> [B, F, H, W, t*p*p*C].

    Within a block the order is time, height, width, channel (as einops' ``(t p1 p2 c)``).
    Raises ValueError where the sizes do not divide.
    """
    b, f, h, w, c = x.shape
    x = x.reshape(b, f // t, t, h // p, p, w // p, p, c)
    return x.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, f // t, h // p, w // p, t * p * p * c)


def unfold(x: mx.array, t: int, p: int) -> mx.array:
    """The inverse of :func:`fold`: [B, F, H, W, t*p*p*C] -> [B, F*t, H*p, W*p, C]."""
    b, f, h, w, c = x.shape
    x = x.reshape(b, f, h, w, t, p, p, c // (t * p * p))
    return x.transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, f * t, h * p, w * p, c // (t * p * p))
