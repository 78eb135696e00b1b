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
    q_norm = weights(D, 1) if norm else None
    k_norm = weights(D, 2) if norm else None
    rope = Rotary(*tables(T, D), pairing) if pairing else None
    out = temporal_attention(qkv, q_norm, k_norm, rope, eps=1e-5)
    q, k, v = np.array(qkv.transpose(3, 0, 1, 2, 4, 5))
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
    q, k, v = qkv.transpose(3, 0, 1, 2, 4, 5)
    split = temporal_attention_split(q, k, v, rope=Rotary(cos, sin, "interleaved"))
    assert mx.array_equal(fused, split)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_sixteen_bit_in_sixteen_bit_out(dtype):
    qkv = mx.random.normal((1, 5, 2, 3, 2, 16), key=mx.random.key(5)).astype(dtype)
    rope = Rotary(*tables(5, 16), "half")
    out = temporal_attention(qkv, weights(16, 6).astype(dtype), weights(16, 7).astype(dtype), rope)
    assert out.dtype == dtype


def test_positions_do_not_mix():
    """Changing a position changes its own outputs in every frame, and no other position's."""
    qkv = mx.random.normal((1, 4, 5, 3, 2, 8), key=mx.random.key(6))
    other = mx.array(qkv)
    other[:, 1, 2] += 1
    moved = np.abs(np.array(temporal_attention(qkv) - temporal_attention(other))).max((0, 3))
    assert (moved[:, 2] > 0).all() and moved[:, [0, 1, 3, 4]].max() == 0


def test_gradients_reach_every_input():
    qkv = mx.random.normal((1, 3, 2, 3, 1, 8), key=mx.random.key(7))
    rope = Rotary(*tables(3, 8))

    def total(x, q_norm, k_norm):
        return temporal_attention(x, q_norm, k_norm, rope).sum()

    grads = mx.grad(total, argnums=(0, 1, 2))(qkv, mx.ones(8), mx.ones(8))
    assert all(mx.isfinite(g).all() and mx.abs(g).max() > 0 for g in grads)


QKV = mx.zeros((1, 4, 2, 3, 2, 8))
COS, SIN = tables(4, 8)
# The calls, and the facts that their errors must hold.
REFUSALS = {
    "two arrays": (lambda: temporal_attention(QKV[:, :, :, :2]), ["qkv", "(1, 4, 2, 2, 2, 8)"]),
    "no batch": (lambda: temporal_attention(QKV[0]), ["qkv", "(4, 2, 3, 2, 8)"]),
    "another length": (
        lambda: temporal_attention_split(QKV[:, :, :, 0], QKV[:, :, :, 1], QKV[:, :2, :, 2]),
        ["q, k and v", "(1, 4, 2, 2, 8), (1, 4, 2, 2, 8), (1, 2, 2, 2, 8)"],
    ),
    "short q_norm": (lambda: temporal_attention(QKV, mx.ones(4)), ["q_norm", "8", "(4,)"]),
    "long k_norm": (lambda: temporal_attention(QKV, None, mx.ones(16)), ["k_norm", "8", "(16,)"]),
    "pairing": (
        lambda: temporal_attention(QKV, rope=(COS, SIN, "pairs")),
        ["'pairs'", '"interleaved"', '"half"'],
    ),
    "short cos": (
        lambda: temporal_attention(QKV, rope=(COS[:2], SIN)),
        ["cos table", "[4, 4]", "(2, 4)"],
    ),
    "narrow sin": (
        lambda: temporal_attention(QKV, rope=(COS, SIN[:, :2])),
        ["sin table", "[4, 4]", "(4, 2)"],
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    call, facts = REFUSALS[name]
    with pytest.raises(ValueError) as caught:
        call()
    for fact in facts:
        assert fact in str(caught.value)
