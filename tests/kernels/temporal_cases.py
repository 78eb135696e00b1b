"""Inputs for temporal attention, and how far an answer is from float64's."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from mlxvid.kernels import Rotary

from . import reference

# Of the reference's greatest magnitude: a few roundings of each type.
TOLERANCE = {mx.float32: 2e-6, mx.float16: 2e-3, mx.bfloat16: 1.6e-2}


@dataclass
class Case:
    """q, k, v [B, T, S, H, D] and the other arguments of temporal attention."""

    q: mx.array
    k: mx.array
    v: mx.array
    q_norm: mx.array | None = None
    k_norm: mx.array | None = None
    rope: Rotary | None = None
    scale: float | None = None
    eps: float = 1e-6

    def expected(self) -> np.ndarray:
        rope = None
        if self.rope is not None:
            rope = (as_numpy(self.rope.cos), as_numpy(self.rope.sin), self.rope.pairing)
        return reference.temporal_attention(
            as_numpy(self.q),
            as_numpy(self.k),
            as_numpy(self.v),
            None if self.q_norm is None else as_numpy(self.q_norm),
            None if self.k_norm is None else as_numpy(self.k_norm),
            rope,
            self.scale,
            self.eps,
        )

    def arguments(self) -> tuple:
        """As temporal_launch.launch takes them."""
        scale = self.q.shape[-1] ** -0.5 if self.scale is None else self.scale
        return self.q, self.k, self.v, self.q_norm, self.k_norm, self.rope, scale, self.eps

    def check(self, out: mx.array, name: str = "") -> None:
        expected = self.expected()
        assert out.shape == expected.shape and out.dtype == self.q.dtype
        error = np.abs(as_numpy(out) - expected).max() / np.abs(expected).max()
        assert error <= TOLERANCE[self.q.dtype], (
            f"error {error:.2e} of the reference's maximum {name}"
        )


def as_numpy(x: mx.array) -> np.ndarray:
    return np.array(x.astype(mx.float32))


def tables(T: int, D: int) -> tuple[mx.array, mx.array]:
    angles = np.arange(T)[:, None] * 100.0 ** (-np.arange(D // 2) / (D // 2))
    return mx.array(np.cos(angles).astype(np.float32)), mx.array(np.sin(angles).astype(np.float32))


def weights(D: int, seed: int) -> mx.array:
    return mx.random.normal((D,), key=mx.random.key(seed)) * 0.3 + 1


def fused(
    B: int,
    T: int,
    S: int,
    H: int,
    D: int,
    dtype: mx.Dtype = mx.float32,
    norm: str = "",
    pairing: str | None = None,
    seed: int = 0,
) -> Case:
    """q, k and v as views of one projection; norm: any of "q", "k", "qk"."""
    qkv = mx.random.normal((B, T, S, 3, H, D), key=mx.random.key(seed)).astype(dtype)
    return Case(
        *(qkv[:, :, :, i] for i in range(3)),
        weights(D, 1).astype(dtype) if "q" in norm else None,
        weights(D, 2) if "k" in norm else None,
        Rotary(*tables(T, D), pairing) if pairing else None,
        eps=1e-5,
    )
