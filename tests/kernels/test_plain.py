"""The plain path against float64, and what it refuses."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.kernels import Rotary, temporal_attention, temporal_attention_split

from . import reference
from .temporal_cases import tables, weights


@pytest.fixture(autouse=True)
def no_kernels(monkeypatch):
    monkeypatch.setenv("MLXVID_KERNELS", "0")


@pytest.mark.parametrize("pairing", [None, "interleaved", "half"])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(
    "B, T, S, H, D", [(1, 1, 1, 1, 8), (2, 5, 3, 2, 48), (2, 16, 7, 3, 72), (1, 70, 2, 1, 64)]
)
def test_plain_path_equals_float64(B, T, S, H, D, norm, pairing):
    qkv = mx.random.normal((B, T, S, 3, H, D), key=mx.random.key(T * D)) * 2
    q_norm, k_norm = (weights(D, 1), weights(D, 2)) if norm else (None, None)
    rope = Rotary(*tables(T, D), pairing) if pairing else None
    out = temporal_attention(qkv, q_norm, k_norm, rope, eps=1e-5)
    q, k, v = (np.array(qkv[:, :, :, i]) for i in range(3))
    expected = reference.temporal_attention(q, k, v, q_norm, k_norm, rope, eps=1e-5)
    assert out.shape == (B, T, S, H * D) and out.dtype == mx.float32
    assert np.abs(np.array(out) - expected).max() <= 2e-6 * np.abs(expected).max()


def test_scale_and_eps_count():
    qkv = mx.random.normal((1, 4, 2, 3, 2, 8), key=mx.random.key(3))
    ones = mx.ones(8)
    base = temporal_attention(qkv, ones, ones)
    assert not mx.allclose(base, temporal_attention(qkv, ones, ones, scale=1.0), atol=1e-3)
    assert not mx.allclose(base, temporal_attention(qkv, ones, ones, eps=1.0), atol=1e-3)
    assert mx.allclose(base, temporal_attention(qkv, ones, ones, scale=8**-0.5))


def test_split_equals_fused_and_plain_pairs_are_interleaved():
    qkv = mx.random.normal((2, 6, 3, 3, 2, 16), key=mx.random.key(4))
    cos, sin = tables(6, 16)
    fused = temporal_attention(qkv, rope=(cos, sin))
    split = temporal_attention_split(
        *(qkv[:, :, :, i] for i in range(3)), rope=Rotary(cos, sin, "interleaved")
    )
    assert mx.array_equal(fused, split)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_sixteen_bit_in_sixteen_bit_out(dtype):
    qkv = mx.random.normal((1, 5, 2, 3, 2, 16), key=mx.random.key(5)).astype(dtype)
    rope = Rotary(*tables(5, 16), "half")
    out = temporal_attention(qkv, weights(16, 6).astype(dtype), weights(16, 7).astype(dtype), rope)
    assert out.dtype == dtype


def test_positions_do_not_mix():
    """Changing one position changes that position's outputs in every frame, and no other
    position's.
    """
    qkv = mx.random.normal((1, 4, 5, 3, 2, 8), key=mx.random.key(6))
    other = mx.array(qkv)
    other[:, 1, 2] += 1
    moved = np.abs(np.array(temporal_attention(qkv) - temporal_attention(other))).max((0, 3))
    assert (moved[:, 2] > 0).all() and moved[:, [0, 1, 3, 4]].max() == 0


def test_gradients_reach_every_input():
    qkv = mx.random.normal((1, 3, 2, 3, 1, 8), key=mx.random.key(7))
    rope = Rotary(*tables(3, 8))
    grads = mx.grad(lambda x, a, b: temporal_attention(x, a, b, rope).sum(), argnums=(0, 1, 2))(
        qkv, mx.ones(8), mx.ones(8)
    )
    assert all(mx.isfinite(g).all() and mx.abs(g).max() > 0 for g in grads)


def refusals():
    x, (cos, sin) = mx.zeros((1, 4, 2, 3, 2, 8)), tables(4, 8)
    fused, split = temporal_attention, temporal_attention_split
    yield (
        (lambda: fused(x[:, :, :, :2])),
        "qkv must be [B, T, S, 3, H, D], but its shape is (1, 4, 2, 2, 2, 8); reshape the projection first.",
    )
    yield (
        (lambda: fused(x[0])),
        "qkv must be [B, T, S, 3, H, D], but its shape is (4, 2, 3, 2, 8); reshape the projection first.",
    )
    yield (
        lambda: split(x[:, :, :, 0], x[:, :, :, 1], x[:, :2, :, 2]),
        "q, k and v must all be [B, T, S, H, D], but their shapes are (1, 4, 2, 2, 8), (1, 4, 2, 2, 8), (1, 2, 2, 2, 8); "
        "reshape the projections first.",
    )
    yield (
        (lambda: fused(x, mx.ones(4))),
        "q_norm must hold one weight for each of the 8 channels of a head, but its shape is (4,).",
    )
    yield (
        (lambda: fused(x, None, mx.ones(16))),
        "k_norm must hold one weight for each of the 8 channels of a head, but its shape is (16,).",
    )
    yield (
        (lambda: fused(x, rope=(cos, sin, "pairs"))),
        'rope pairing must be "interleaved" or "half", not \'pairs\'.',
    )
    yield (
        (lambda: fused(x, rope=(cos[:2], sin))),
        "rope's cos table must be [T, D/2] = [4, 4], but its shape is (2, 4).",
    )
    yield (
        (lambda: fused(x, rope=(cos, sin[:, :2]))),
        "rope's sin table must be [T, D/2] = [4, 4], but its shape is (4, 2).",
    )


@pytest.mark.parametrize("call, message", list(refusals()))
def test_refusals(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message
