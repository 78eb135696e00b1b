"""Attention by MLX's own kernels: in heads as they are, and padded."""

from __future__ import annotations

import mlx.core as mx
import pytest

from mlxvid.layers import attention, bounds
from mlxvid.padded_heads import SWITCH, padded


def drawn(*shape: int, seed: int) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed))


@pytest.fixture
def widths(monkeypatch):
    """The widths of the heads that MLX's attention gets."""
    real = mx.fast.scaled_dot_product_attention
    seen: list[int] = []

    def watched(q, k, v, **options):
        seen.append(q.shape[-1])
        return real(q, k, v, **options)

    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", watched)
    return seen


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
def test_padded_heads_attend_as_they_are(parts, masked, widths, monkeypatch):
    q, k, v = (drawn(2, 3, 10, 72, seed=i) for i in range(3))
    mask = (mx.arange(10) < 7)[None, None, None] if masked else None
    plain = attention.attend_in_parts(q, k, v, mask)
    monkeypatch.setenv(SWITCH, "1")
    monkeypatch.setattr(bounds, "eval_ops", lambda: 2 * 3 * 10 * 10 * 4 * 96 / parts)
    wide = attention.attend_in_parts(q, k, v, mask)
    assert wide.shape == plain.shape
    assert mx.abs(wide - plain).max().item() <= 1e-5
    assert widths == [72] + [96] * parts


def test_only_tokens_that_attend_to_each_other_are_padded(widths, monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    q = drawn(1, 2, 10, 72, seed=0)
    text = drawn(1, 2, 5, 72, seed=1)
    attention.attend_in_parts(q, text, text)
    assert widths == [72]


def test_heads_of_other_sizes_stay(monkeypatch):
    assert padded(72) == 72
    monkeypatch.setenv(SWITCH, "1")
    assert [padded(channels) for channels in (64, 72, 96, 128)] == [64, 96, 96, 128]
    monkeypatch.setenv(SWITCH, "0")
    assert padded(72) == 72
