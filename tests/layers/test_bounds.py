"""One bound for the work of an evaluation: parts within it, the same values, and who hears."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import pytest

from mlxvid.layers import bounds
from mlxvid.layers.attention import FeedForward, FeedForwardNet


@pytest.fixture(autouse=True)
def own_bound(monkeypatch):
    """The bound, given back when a test has changed it."""
    monkeypatch.setattr(bounds._Bound, "ops", bounds.EVAL_OPS)


def bound_of(monkeypatch, ops: float) -> None:
    monkeypatch.setattr(bounds._Bound, "ops", ops)


def drawn(*shape: int) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(sum(shape)))


def test_halving_holds_for_all_that_ask_later_in_the_run():
    with bounds.of_one_run():
        assert bounds.share() == 1
        assert bounds.halve()
        assert bounds.eval_ops() == bounds.EVAL_OPS / 2
        assert bounds.halve()
        assert not bounds.halve()
        assert bounds.eval_ops() == bounds.EVAL_OPS / 4
        assert bounds.share() == 1 / 4
    assert bounds.eval_ops() == bounds.EVAL_OPS


LAYERS = {
    "linear": lambda: nn.Linear(64, 96),
    "quantized": lambda: nn.QuantizedLinear(64, 96, group_size=64, bits=4),
    "feed-forward": lambda: FeedForward(64),
    "net": lambda: FeedForwardNet(64, 160, 96, nn.gelu),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("shape", [(301, 64), (2, 150, 64), (2, 5, 33, 64)])
@pytest.mark.parametrize("parts", [2, 7])
def test_rows_in_parts_are_the_rows_of_the_whole(monkeypatch, kind, shape, parts):
    """Within rounding: a BLAS may add up in another order at the edge of its own blocks."""
    layer = LAYERS[kind]()
    x = drawn(*shape)
    whole = layer(x)
    sizes: list[int] = []

    def recorded(rows: mx.array) -> mx.array:
        sizes.append(rows.shape[0])
        return layer(rows)

    count = x.size // 64
    bound_of(monkeypatch, 1000.0 * count / parts)
    split = bounds.in_rows(recorded, x, 1000.0)
    assert len(sizes) == parts
    assert sum(sizes) == count
    assert max(sizes) * 1000.0 <= bounds.eval_ops() + 1000.0
    assert split.shape == whole.shape
    assert mx.allclose(split, whole, rtol=1e-6, atol=1e-6)


def test_what_is_within_the_bound_stays_whole_and_lazy(monkeypatch):
    bound_of(monkeypatch, 300 * 1000.0)
    calls: list[tuple[int, ...]] = []

    def recorded(x: mx.array) -> mx.array:
        calls.append(x.shape)
        return x

    heard: list[float | None] = []
    with bounds.heard(heard.append):
        bounds.in_rows(recorded, drawn(2, 150, 64), 1000.0)
    assert calls == [(2, 150, 64)]
    assert heard == []


def test_no_rows_are_no_parts():
    assert bounds.in_rows(lambda x: x, mx.zeros((2, 0, 64)), 1e15).shape == (2, 0, 64)


@pytest.mark.parametrize(
    ("blocks", "ops", "shares"),
    [(4, 100.0, [0.25, 0.5, 0.75, 1.0]), (5, 40.0, [0.4, 0.8]), (3, 1.0, [])],
)
def test_blocks_are_evaluated_as_many_at_once_as_the_bound_allows(monkeypatch, blocks, ops, shares):
    bound_of(monkeypatch, 100.0)
    heard: list[float | None] = []
    with bounds.heard(heard.append):
        pace = bounds.Pace(blocks, ops)
        for _ in range(blocks):
            pace.passed(mx.zeros(1))
    assert heard == shares
    bounds.evaluate(mx.zeros(1), 1.0)
    assert heard == shares  # nobody listens any more


def test_what_the_listener_raises_ends_the_work():
    def stop(share: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), bounds.heard(stop):
        bounds.evaluate(mx.zeros(1))
    bounds.evaluate(mx.zeros(1))
