"""Convolutions as MLX's Metal backend makes them: by Winograd's minimal filtering, F(6x6, 3x3).

Lavin and Gray, arXiv:1509.09308, with the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity. MLX takes
it for 3x3 kernels of stride 1 with many channels, stores each stage's result in the array's type
and adds up in float32; on an M5 with ``MLX_ENABLE_TF32`` the products' factors are cut to ten bits.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
TILE = 6
REACH = TILE + 2
# What MLX takes the method for: channels in multiples of this, and of input and output together.
CHANNELS = 32
ALL_CHANNELS = 256

Round = Callable[[np.ndarray], np.ndarray]


def _matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """B^T [8, 8], G [8, 3] and A^T [6, 8], by interpolation at :data:`POINTS`."""
    points = np.array(POINTS)
    b = np.zeros((REACH, REACH))
    g = np.zeros((REACH, 3))
    a = np.zeros((TILE, REACH))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        b[i, :-1] = np.poly(others)[::-1]
        g[i] = point ** np.arange(3) / np.prod(point - others)
        a[:, i] = point ** np.arange(TILE)
    b[-1] = np.poly(points)[::-1]
    g[-1, -1] = 1
    a[-1, -1] = 1
    return b, g, a


B, G, A = (matrix.astype(np.float32) for matrix in _matrices())


def cut(x: np.ndarray, bits: int) -> np.ndarray:
    """float32 rounded to that many bits of a mantissa, to even."""
    whole = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    shift = np.uint64(23 - bits)
    half = np.uint64((1 << (22 - bits)) - 1)
    one = np.uint64(1)
    rounded = ((whole + ((whole >> shift) & one) + half) >> shift) << shift
    return rounded.astype(np.uint32).view(np.float32).reshape(x.shape)


STORED: dict[str, Round] = {
    "float32": lambda x: x.astype(np.float32),
    "bfloat16": lambda x: cut(x, 7),
    "float16": lambda x: x.astype(np.float16).astype(np.float32),
}


def tf32(x: np.ndarray) -> np.ndarray:
    """A factor of a product on the matrix units of an M5."""
    return cut(x, 10)


def winograd(x: np.ndarray, weight: np.ndarray, store: Round, factor: Round) -> np.ndarray:
    """x [N, H, W, C], padded, and weight [O, 3, 3, C] -> [N, H - 2, W - 2, O], float32."""
    n, height, width, c = x.shape
    down = -(-(height - 2) // TILE)
    across = -(-(width - 2) // TILE)
    below = down * TILE + 2 - height
    right = across * TILE + 2 - width
    x = np.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (REACH, REACH), (1, 2))
    tiles = windows[:, ::TILE, ::TILE]  # [N, down, across, C, 8, 8]
    v = store(np.einsum("ai,ndkcij,bj->abndkc", B, tiles, B, optimize=True))
    u = store(np.einsum("ai,oijc,bj->abco", G, weight, G, optimize=True))
    flat = factor(v).reshape(REACH * REACH, -1, c)
    products = store(flat @ factor(u).reshape(REACH * REACH, c, -1))
    m = products.reshape(REACH, REACH, n, down, across, -1)
    y = store(np.einsum("ia,abndko,jb->ndikjo", A, m, A, optimize=True))
    return y.reshape(n, down * TILE, across * TILE, -1)[:, : height - 2, : width - 2]


class Emulated:
    """In place of ``mx.conv2d``: Winograd's method wherever MLX would take it.

    dtype: that values are stored in. calls: how many were eligible.
    """

    def __init__(self, dtype: str = "float32", factor: Round = lambda x: x):
        self.store = STORED[dtype]
        self.factor = factor
        self.calls = 0
        self._direct = mx.conv2d

    def __call__(
        self, x: mx.array, weight: mx.array, stride=1, padding=0, dilation=1, groups=1, **more
    ) -> mx.array:
        o, *sides, c = weight.shape
        plain = all(_pair(given) == (1, 1) for given in (stride, dilation)) and groups == 1
        many = c % CHANNELS == 0 and o % CHANNELS == 0 and c + o >= ALL_CHANNELS
        if sides != [3, 3] or not plain or not many:
            return self._direct(x, weight, stride, padding, dilation, groups, **more)
        self.calls += 1
        high, wide = _pair(padding)
        values = np.array(x.astype(mx.float32))
        values = np.pad(values, ((0, 0), (high, high), (wide, wide), (0, 0)))
        kernel = np.array(weight.astype(mx.float32))
        y = winograd(self.store(values), self.store(kernel), self.store, self.factor)
        return mx.array(y.astype(np.float32)).astype(x.dtype)


def _pair(value: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
