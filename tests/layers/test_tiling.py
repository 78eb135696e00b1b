"""Tiles that overlap, row by row: of any shape, and with little held besides the result."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.layers.tiling import blended_rows


def doubled(x: mx.array, number: int = 0) -> mx.array:
    """A function that sees one position at a time: its tiles blend to what one pass makes."""
    return mx.repeat(mx.repeat(x, 2, axis=2), 2, axis=3)


@pytest.mark.parametrize(
    ("tile", "stride"), [((4, 6), (3, 4)), ((6, 3), (6, 2)), ((9, 9), (5, 8)), ((5, 4), (2, 4))]
)
def test_tiles_of_any_shape(tile, stride):
    x = mx.array(np.random.default_rng(0).standard_normal((1, 2, 9, 11, 3)), mx.float32)
    rows = list(blended_rows(doubled, x, tile, stride, up=2))
    assert len(rows) == -(-9 // stride[0])
    assert mx.abs(mx.concatenate(rows, axis=2) - doubled(x)).max() < 1e-5


def test_no_tile_is_held_whole():
    x = mx.zeros((1, 64, 40, 40, 3))
    mx.eval(x)
    whole = 4 * x.nbytes
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    rows = []
    for row in blended_rows(doubled, x, (10, 10), (8, 8), up=2):
        mx.eval(row)
        rows.append(row)
    assert sum(row.nbytes for row in rows) == whole
    assert mx.get_peak_memory() - before < 1.5 * whole
