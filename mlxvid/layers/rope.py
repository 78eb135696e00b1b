"""Tables of the rotary position embedding, over one axis or over time, height and width."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from mlxvid.kernels import Rotary

# Of a lowered frequency's period: how much of it a clip takes.
SHARE = 0.9


def rope_1d(
    positions: mx.array | np.ndarray,
    dim: int,
    theta: float,
    lowered: tuple[int, int] | None = None,
) -> tuple[mx.array, mx.array]:
    """cos and sin, float32 [N, dim/2], of positions [N] at the frequencies theta^(-2i/dim).

    Computed in float64 on the host, as the references do: in float32 the angles of late positions
    would lose more than the tables do (RoFormer, arXiv:2104.09864). lowered: a frequency, counted
    from 1, and how many positions are to be nine tenths of its period (RIFLEx, arXiv:2502.15894,
    equation 8).
    """
    freqs = theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    if lowered is not None:
        number, length = lowered
        freqs[number - 1] = SHARE * 2 * np.pi / length
    angles = np.asarray(positions, dtype=np.float64)[:, None] * freqs
    cos = np.cos(angles).astype(np.float32)
    sin = np.sin(angles).astype(np.float32)
    return mx.array(cos), mx.array(sin)


def rope_3d(
    t: int,
    h: int,
    w: int,
    dims: tuple[int, int, int],
    theta: float,
    pairing: str,
    lowered: tuple[int, int] | None = None,
) -> Rotary:
    """Tables [t*h*w, sum(dims)/2] for tokens in the order time, height, width.

    The first dims[0] channels of a head encode time, the next dims[1] height, the last dims[2]
    width. `pairing` as in :class:`mlxvid.kernels.Rotary`. lowered: in time, as in :func:`rope_1d`.
    """
    grid = (t, h, w)
    cosines = []
    sines = []
    for axis, dim in enumerate(dims):
        along = [1, 1, 1]
        along[axis] = grid[axis]
        changed = lowered if axis == 0 else None
        cos, sin = rope_1d(np.arange(grid[axis]), dim, theta, changed)
        cosines.append(mx.broadcast_to(cos.reshape(*along, -1), (*grid, dim // 2)))
        sines.append(mx.broadcast_to(sin.reshape(*along, -1), (*grid, dim // 2)))
    return Rotary(
        mx.concatenate(cosines, axis=-1).reshape(t * h * w, -1),
        mx.concatenate(sines, axis=-1).reshape(t * h * w, -1),
        pairing,
    )
