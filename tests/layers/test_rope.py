"""Rotary tables with a lowered frequency."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import numpy as np

from mlxvid.layers.rope import rope_1d, rope_3d

DIM = 12
THETA = 100.0


def test_one_frequency_is_lowered():
    plain = [np.array(table) for table in rope_1d(np.arange(40), DIM, THETA)]
    changed = [np.array(table) for table in rope_1d(np.arange(40), DIM, THETA, (3, 40))]
    others = np.arange(DIM // 2) != 2
    for before, after in zip(plain, changed, strict=True):
        assert np.array_equal(before[:, others], after[:, others])
        assert np.abs(before - after)[:, 2].max() > 0.1
    angle = 2 * np.pi * 0.9 * np.arange(40) / 40  # nine tenths of a turn
    assert np.abs(changed[0][:, 2] - np.cos(angle)).max() < 1e-6
    assert np.abs(changed[1][:, 2] - np.sin(angle)).max() < 1e-6


def test_in_time_alone():
    plain = rope_3d(30, 2, 3, (4, 4, 6), THETA, "interleaved")
    changed = rope_3d(30, 2, 3, (4, 4, 6), THETA, "interleaved", (2, 30))
    differs = np.array(plain.cos != changed.cos).any(axis=0)
    assert np.flatnonzero(differs).tolist() == [1]
