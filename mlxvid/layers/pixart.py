"""What the transformers that grew from PixArt-alpha (arXiv:2310.00426) share: patches, sine
positions and adaLN.
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from .conv import channels_last
from .patches import fold


class PatchEmbed(nn.Module):
    """Tokens of `patch` x `patch` latent positions in each frame: [B, F, H, W, C] -> [B, F,
    H/patch, W/patch, dim].

    The checkpoints have a convolution whose stride is its kernel: on folded patches that is a
    matrix product, so `proj.weight` goes through :func:`patch_matrix` first.
    """

    def __init__(self, channels: int, patch: int, dim: int):
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(channels * patch**2, dim)

    def __call__(self, x: mx.array) -> mx.array:
        return self.proj(fold(x, 1, self.patch))


def patch_matrix(weight: mx.array) -> mx.array:
    """PyTorch's weight [dim, C, (1,) p, p] of a patch convolution as the matrix [dim, p*p*C] for
    patches folded channels last.
    """
    return channels_last(weight).reshape(weight.shape[0], -1)


def sines(positions: mx.array, dim: int) -> mx.array:
    """float32 [N, dim] of positions [N]: all sines, then all cosines, at the frequencies
    10000^(-2k/dim) (arXiv:1706.03762).
    """
    freqs = 10000.0 ** (-mx.arange(0, dim, 2, dtype=mx.float32) / dim)
    angles = positions.astype(mx.float32)[:, None] * freqs
    return mx.concatenate([mx.sin(angles), mx.cos(angles)], axis=-1)


def sines_2d(h: int, w: int, dim: int, base: float, scale: float) -> mx.array:
    """float32 [h*w, dim]: the first half of the channels tells a token's column, the second half
    its row.

    Both axes are stretched so that they run from 0 to base / scale whatever their number of tokens:
    a picture of another size or shape has its borders where the model knows them.
    """
    rows, columns = (sines(mx.arange(n) * (base / n / scale), dim // 2) for n in (h, w))
    grid = (
        mx.broadcast_to(columns[None], (h, w, dim // 2)),
        mx.broadcast_to(rows[:, None], (h, w, dim // 2)),
    )
    return mx.concatenate(grid, axis=-1).reshape(h * w, dim)


def modulated(x: mx.array, shift: mx.array, scale: mx.array, eps: float = 1e-6) -> mx.array:
    """Layer norm without weights, then scale and shift (adaLN, arXiv:2212.09748)."""
    return mx.fast.layer_norm(x, None, None, eps) * (1 + scale) + shift
