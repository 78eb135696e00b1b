"""Layers worked on a few frames at a time, against the same on all frames at once."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlxvid.layers import frame_parts
from mlxvid.layers.conv import CausalConv3d, Stream
from mlxvid.layers.frame_parts import GroupNorm, in_parts
from mlxvid.layers.tiling import blended_in_time


def random(*shape: int, seed: int = 0) -> mx.array:
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("positions", [1, 50, 10**6])
def test_group_norm_is_over_all_frames(monkeypatch, positions):
    monkeypatch.setattr(frame_parts, "POSITIONS", positions)
    norm = GroupNorm(3, 12)
    norm.weight = random(12, seed=1)
    norm.bias = random(12, seed=2)
    x = random(2, 5, 4, 3, 12) * 3 + 1
    scale, shift = norm(x)
    whole = nn.GroupNorm(3, 12, eps=frame_parts.NORM_EPS, pytorch_compatible=True)
    whole.weight = norm.weight
    whole.bias = norm.bias
    assert scale.shape == shift.shape == (2, 1, 1, 1, 12)
    assert mx.allclose(x * scale + shift, whole(x), atol=1e-5)


@pytest.mark.parametrize("unit", [1, 2])
def test_parts_are_whole_units(monkeypatch, unit):
    monkeypatch.setattr(frame_parts, "POSITIONS", 3 * 12)
    x = random(1, 8, 4, 3, 2)
    seen = []

    def layer(part: mx.array, of: slice) -> mx.array:
        seen.append((of.start, of.stop))
        return part[:, ::unit] + 1

    y = in_parts(layer, x, 8 // unit, unit)
    assert mx.array_equal(y, x[:, ::unit] + 1)
    assert seen == ([(0, 3), (3, 6), (6, 8)] if unit == 1 else [(0, 2), (2, 4), (4, 6), (6, 8)])


def test_fewer_frames_at_a_time_where_more_become_of_each(monkeypatch):
    monkeypatch.setattr(frame_parts, "POSITIONS", 4 * 12)
    x = random(1, 8, 4, 3, 2)
    seen = []

    def layer(part: mx.array, of: slice) -> mx.array:
        seen.append(part.shape[1])
        return mx.repeat(part, 2, axis=1)

    y = in_parts(layer, x, 16, up=2)
    assert mx.array_equal(y, mx.repeat(x, 2, axis=1)) and seen == [2] * 4


@pytest.mark.parametrize(
    ("kernel", "stride"), [((3, 3, 3), 1), ((3, 3, 3), 2), ((1, 3, 5), 2), ((3, 1, 1), 1)]
)
def test_a_convolution_that_repeats_the_outermost_positions(kernel, stride):
    conv = CausalConv3d(2, 4, kernel, space_stride=stride, repeat_sides=True)
    k_t, k_h, k_w = kernel
    x = random(1, 4, 6, 5, 2)
    padded = mx.concatenate([x[:, :1]] * (k_t - 1) + [x], axis=1)
    sides = [(0, 0), (0, 0), (k_h // 2, k_h // 2), (k_w // 2, k_w // 2), (0, 0)]
    padded = mx.pad(padded, sides, mode="edge")
    expected = mx.conv_general(padded, conv.weight, stride=(1, stride, stride)) + conv.bias
    assert mx.allclose(conv(x), expected, atol=1e-5)
    stream = Stream()
    parts = [conv(x[:, start : start + 2], stream) for start in (0, 2)]
    assert mx.allclose(mx.concatenate(parts, axis=1), expected, atol=1e-5)


def test_parts_of_a_clip_fade_into_each_other():
    """Of 1 + 8 latent frames, in parts of 1 + 4 every 3, twice as many frames besides the first."""
    calls = []

    def function(part: mx.array) -> mx.array:
        calls.append(part.tolist()[0])
        return mx.full((1, 2 * part.shape[1] - 1), float(len(calls)))

    parts = list(blended_in_time(function, mx.arange(9)[None], 4, 3, up=2))
    assert calls == [[0, 1, 2, 3, 4], [3, 4, 5, 6, 7], [6, 7, 8]]
    assert [part.tolist()[0] for part in parts] == [
        [1.0] * 7,
        [1.0, 1.5, 2.0, 2.0, 2.0, 2.0],
        [2.0, 2.5, 3.0, 3.0],
    ]
