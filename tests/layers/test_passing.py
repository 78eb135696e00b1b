"""A clip through layers one after the other, a few frames at a time."""

from __future__ import annotations

import mlx.core as mx
import pytest

from mlxvid.layers.conv import CentredConv3d
from mlxvid.layers.passing import passed


@pytest.mark.parametrize("positions", [1, 60, 10**6])
def test_a_clip_passes_through_layers_that_see_the_future(positions):
    layers = [CentredConv3d(3, 3, (3, 3, 3)) for _ in range(4)]
    x = mx.random.normal((2, 7, 4, 5, 3), key=mx.random.key(0))
    expected = x
    for layer in layers:
        expected = layer(expected)
    parts = list(passed(layers, x, positions))
    assert mx.abs(mx.concatenate(parts, axis=1) - expected).max().item() < 1e-5
    assert all(part.shape[1] for part in parts)
    assert (len(parts) > 1) == (positions < 100)


def test_a_part_goes_on_as_soon_as_it_is_made():
    """Each layer's frames go through all the others before its next ones are made."""
    order = []

    def noted(name):
        def layer(x, stream):
            order.append((name, int(x[0, 0, 0, 0, 0].item()), stream.last))
            return x

        return layer

    x = mx.arange(3).reshape(1, 3, 1, 1, 1)
    assert len(list(passed([noted("a"), noted("b")], x, 1))) == 3
    expected = [(name, frame, frame == 2) for frame in range(3) for name in "ab"]
    assert order == expected
