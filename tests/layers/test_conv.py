"""Convolutions over future frames, and what streams keep of a clip that comes in chunks."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.layers import conv
from mlxvid.layers.conv import CausalConv3d, CentredConv3d, Stream


def video(*shape: int) -> mx.array:
    return mx.array(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def close(a: mx.array, b: mx.array) -> None:
    assert a.shape == b.shape and mx.abs(a - b).max().item() < 1e-5


def padded(x: mx.array, repeat: bool) -> mx.array:
    """A frame more before and after the clip."""
    first = x[:, :1]
    last = x[:, -1:]
    if not repeat:
        first = mx.zeros_like(first)
        last = mx.zeros_like(last)
    return mx.concatenate([first, x, last], axis=1)


def centred(repeat: bool) -> CentredConv3d:
    layer = CentredConv3d(3, 5, (3, 3, 3), repeat_edges=repeat)
    layer.bias = mx.arange(5) / 10
    return layer


@pytest.mark.parametrize("repeat", [True, False])
def test_a_centred_convolution_sees_a_frame_before_and_one_after(repeat):
    layer = centred(repeat)
    x = video(2, 4, 5, 6, 3)
    expected = mx.conv3d(padded(x, repeat), layer.weight, padding=(0, 1, 1)) + layer.bias
    close(layer(x), expected)


@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("frames", [[1], [1, 1, 1, 2], [1, 4], [3, 2]])
@pytest.mark.parametrize("lazily", [True, False])
def test_its_results_come_a_frame_late(repeat, frames, lazily, monkeypatch):
    if not lazily:
        monkeypatch.setattr(conv, "MAX_LAZY_VALUES", 1)
    layer = centred(repeat)
    x = video(2, sum(frames), 4, 6, 3)
    stream = Stream()
    made = []
    for number, part in enumerate(mx.split(x, np.cumsum(frames)[:-1].tolist(), axis=1), 1):
        stream.last = number == len(frames)
        made.append(layer(part, stream))
    late = [y.shape[1] - count for y, count in zip(made, frames, strict=True)]
    assert late == ([0] if len(frames) == 1 else [-1, *[0] * (len(frames) - 2), 1])
    close(mx.concatenate(made, axis=1), layer(x))


def test_without_a_frame_there_is_no_result_yet():
    stream = Stream()
    layer = centred(True)
    assert layer(mx.zeros((1, 0, 4, 6, 3)), stream).shape == (1, 0, 4, 6, 5)
    assert not stream.started


@pytest.mark.parametrize("frames", [[1, 2, 2], [5], [1, 1, 1, 1, 1], [2, 3]])
def test_groups_of_frames_begin_with_the_first_one_by_itself(frames):
    x = mx.arange(1, 6).reshape(1, 5, 1, 1, 1)
    stream = Stream()
    layer = centred(True)
    groups = []
    for part in mx.split(x, np.cumsum(frames)[:-1].tolist(), axis=1):
        whole = stream.grouped(layer, part, 2)
        groups += whole.reshape(-1, 2).tolist()
    assert groups == [[1, 1], [2, 3], [4, 5]]


def test_a_stride_in_space():
    layer = CausalConv3d(3, 5, (3, 3, 3), stride=2, space_stride=2)
    x = video(2, 4, 6, 8, 3)
    before = mx.concatenate([x[:, :1], x], axis=1)
    close(layer(x), mx.conv3d(before, layer.weight, stride=2, padding=(0, 1, 1)))
