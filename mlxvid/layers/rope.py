"""Rotary position tables over one axis or over time, height and width."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from mlxvid.kernels import Rotary


def rope_1d(positions: mx.array | np.ndarray, dim: int, theta: float) -> tuple[mx.array, mx.array]:
    """cos and sin, float32 [N, dim/2], of positions [N] at the frequencies theta^(-2i/dim)
    (RoFormer, arXiv:2104.09864).

    Worked out in float64 on the host, as the references do: in float32 the angles of late positions
    would lose what the tables can hold.
    """
    freqs = theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    angles = np.asarray(positions, dtype=np.float64)[:, None] * freqs
    return mx.array(np.cos(angles).astype(np.float32)), mx.array(np.sin(angles).astype(np.float32))


def rope_3d(
    t: int, h: int, w: int, dims: tuple[int, int, int], theta: float, pairing: str
) -> Rotary:
    """Tables [t*h*w, sum(dims)/2] for tokens in time, height, width order: the first dims[0]
    channels turn with time, and so on.
    """
    axes = [
        (np.arange(n), dim, shape)
        for n, dim, shape in zip((t, h, w), dims, ((t, 1, 1), (1, h, 1), (1, 1, w)), strict=True)
    ]
    tables = []
    for positions, dim, shape in axes:
        pair = rope_1d(positions, dim, theta)
        tables.append(
            [mx.broadcast_to(table.reshape(*shape, -1), (t, h, w, dim // 2)) for table in pair]
        )
    cos, sin = (
        mx.concatenate([pair[i] for pair in tables], axis=-1).reshape(t * h * w, -1) for i in (0, 1)
    )
    return Rotary(cos, sin, pairing)
