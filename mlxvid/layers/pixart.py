"""Layers of the PixArt-alpha lineage (arXiv:2310.00426): patches and sine positions."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from .conv import channels_last
from .patches import fold


class PatchEmbed(nn.Module):
    """Patches of each frame as tokens: [B, F, H, W, C] -> [B, F, H/patch, W/patch, dim].

    The checkpoints have a convolution whose stride is its kernel. On folded patches that is a
    matrix product, so `proj.weight` goes through :func:`patch_matrix` first.
    """

    def __init__(self, channels: int, patch: int, dim: int):
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(channels * patch**2, dim)

    def __call__(self, x: mx.array) -> mx.array:
        return self.proj(fold(x, 1, self.patch))


def patch_matrix(weight: mx.array) -> mx.array:
    """PyTorch's weight of a patch convolution as a matrix: [dim, C, (1,) p, p] -> [dim, p*p*C].

    It is for patches folded with their channels last.
    """
    return channels_last(weight).reshape(weight.shape[0], -1)


def sines(positions: mx.array, dim: int) -> mx.array:
    """Sinusoids of positions [N], float32 [N, dim]: all sines, then all cosines.

    The frequencies are 10000^(-2k/dim) (arXiv:1706.03762).
    """
    freqs = 10000.0 ** (-mx.arange(0, dim, 2, dtype=mx.float32) / dim)
    angles = positions.astype(mx.float32)[:, None] * freqs
    return mx.concatenate([mx.sin(angles), mx.cos(angles)], axis=-1)


def sines_2d(h: int, w: int, dim: int, base: float, scale: float) -> mx.array:
    """Position embedding of an h x w grid, float32 [h*w, dim].

    The first half of the channels encodes the column, the second half the row. Both axes are
    stretched to run from 0 to base / scale whatever their number of tokens: a picture of another
    size or shape keeps its borders where the model was trained to have them.
    """
    rows = sines(mx.arange(h) * (base / h / scale), dim // 2)
    columns = sines(mx.arange(w) * (base / w / scale), dim // 2)
    of_column = mx.broadcast_to(columns[None], (h, w, dim // 2))
    of_row = mx.broadcast_to(rows[:, None], (h, w, dim // 2))
    return mx.concatenate([of_column, of_row], axis=-1).reshape(h * w, dim)
