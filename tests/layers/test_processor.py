"""What stands for MLX's own functions on the CPU computes the same."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

from mlxvid.layers import processor
from mlxvid.layers.attention import WIDE_HEAD_SCORES, attend_in_parts


def random(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(params=["compiled", "without a compiler"])
def compiler(request):
    if request.param == "without a compiler":
        mx.disable_compile()
    yield
    mx.enable_compile()


def test_powers_of_two(compiler):
    y = np.linspace(-126, 127, 100_003, dtype=np.float32)
    exact = np.exp2(y.astype(np.float64))
    assert np.abs(np.array(processor.exp2(mx.array(y))) / exact - 1).max() < 3e-7


def test_powers_beyond_float32_are_bounded():
    low, high = np.array(processor.exp2(mx.array([-1e9, 1e4])))
    assert 0 < low < 1e-37
    assert 1e38 < high < np.inf


@pytest.mark.parametrize("name", ["silu", "gelu_approx"])
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_activations(name, dtype, compiler, monkeypatch):
    x = mx.array(20 * random(3, 5, 7, seed=1)).astype(dtype)
    ours = getattr(processor, name)(x)
    exact = getattr(nn, name)(x.astype(mx.float32))
    assert ours.dtype == dtype
    finest = {mx.float32: 2e-6, mx.float16: 1e-3, mx.bfloat16: 8e-3}[dtype]
    assert mx.all(mx.abs(ours.astype(mx.float32) - exact) <= finest * (1 + mx.abs(exact)))
    monkeypatch.setattr(processor, "PART", 11)
    assert mx.array_equal(getattr(processor, name)(x.swapaxes(0, 2)), ours.swapaxes(0, 2))


@pytest.mark.parametrize("part", [2**18, 200, 40, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_in_parts(part, masked, compiler, monkeypatch):
    monkeypatch.setattr(processor, "PART", part)
    monkeypatch.setattr(processor, "QUERIES", 2)
    q = mx.array(random(2, 13, 3, 8, seed=2)).swapaxes(1, 2)
    k = mx.array(random(2, 3, 7, 8, seed=3))
    v = mx.array(random(2, 3, 7, 8, seed=4))
    mask = mx.arange(7)[None] < mx.array([[7], [4]]) if masked else None
    mask = None if mask is None else mask[:, None, None]
    theirs = mx.fast.scaled_dot_product_attention(q, k, v, scale=8**-0.5, mask=mask)
    assert mx.abs(processor.attend(q, k, v, mask) - theirs).max() < 2e-6


def test_attention_of_large_scores():
    q = mx.array(300 * random(1, 1, 5, 4, seed=5))
    k = mx.array(300 * random(1, 1, 6, 4, seed=6))
    v = mx.array(random(1, 1, 6, 4, seed=7))
    theirs = mx.fast.scaled_dot_product_attention(q, k, v, scale=0.5)
    assert mx.abs(processor.attend(q, k, v) - theirs).max() < 1e-4


@pytest.mark.parametrize(("heads", "size"), [(64, 8), (160, 4)])
def test_attention_by_parts_of_queries_on_metal(heads, size, monkeypatch):
    """Wide heads have a bound of their own."""
    seen = []
    real = mx.fast.scaled_dot_product_attention

    def recorded(q, *rest, **more):
        seen.append(q.shape[2])
        return real(q, *rest, **more)

    q = mx.array(random(1, 2, 8, heads, seed=8))
    whole = real(q, q, q, scale=heads**-0.5)
    monkeypatch.setattr("mlxvid.layers.attention.WIDE_HEAD_SCORES", 64)
    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", recorded)
    assert mx.abs(attend_in_parts(q, q, q) - whole).max() < 1e-6
    assert WIDE_HEAD_SCORES > 64
    assert seen == [size] * (8 // size)


@pytest.mark.parametrize("part", [2**18, 30])
@pytest.mark.parametrize("out", [6, 200])  # fewer and more than the positions
@pytest.mark.parametrize("kernel", [(1, 1, 1), (1, 3, 3), (3, 3, 3), (2, 3, 1)])
def test_convolutions(part, out, kernel, monkeypatch):
    monkeypatch.setattr(processor, "PART", part)
    x = random(2, 4, 5, 7, 3, seed=9)
    weight = random(out, *kernel, 3, seed=10)
    theirs = torch.nn.functional.conv3d(
        torch.tensor(x).movedim(-1, 1), torch.tensor(weight).movedim(-1, 1)
    )
    ours = processor.convolve(mx.array(x), mx.array(weight))
    assert np.abs(np.array(ours) - theirs.movedim(1, -1).numpy()).max() < 1e-5


def test_convolutions_in_half_precision():
    x = mx.array(random(1, 3, 6, 5, 4, seed=11))
    weight = mx.array(random(2, 3, 3, 3, 4, seed=12))
    half = processor.convolve(x.astype(mx.bfloat16), weight.astype(mx.bfloat16))
    assert half.dtype == mx.bfloat16
    assert mx.abs(half.astype(mx.float32) - processor.convolve(x, weight)).max() < 0.5
