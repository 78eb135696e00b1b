"""Temporal attention in float64 NumPy: the reference that the plain path and the kernel are both
held against.
"""

from __future__ import annotations

import numpy as np


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, pairing: str) -> np.ndarray:
    """x [B, T, S, H, D], tables [T, D/2]: each pair as a complex number times cos + i sin."""
    D = x.shape[-1]
    first, second = (
        (np.arange(0, D, 2), np.arange(1, D, 2))
        if pairing == "interleaved"
        else (np.arange(D // 2), np.arange(D // 2, D))
    )
    turned = (x[..., first] + 1j * x[..., second]) * (cos + 1j * sin)[None, :, None, None, :]
    out = np.empty_like(x)
    out[..., first], out[..., second] = turned.real, turned.imag
    return out


def temporal_attention(
    q, k, v, q_norm=None, k_norm=None, rope=None, scale=None, eps=1e-6
) -> np.ndarray:
    """q, k, v [B, T, S, H, D] of any float type -> float64 [B, T, S, H*D]."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    B, T, S, H, D = q.shape
    if q_norm is not None:
        q = rms_norm(q, np.asarray(q_norm, np.float64), eps)
    if k_norm is not None:
        k = rms_norm(k, np.asarray(k_norm, np.float64), eps)
    if rope is not None:
        cos, sin, pairing = rope
        q, k = (
            rotate(x, np.asarray(cos, np.float64), np.asarray(sin, np.float64), pairing)
            for x in (q, k)
        )
    scores = np.einsum("btshd,bushd->bshtu", q, k) * (D**-0.5 if scale is None else scale)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("bshtu,bushd->btshd", weights, v).reshape(B, T, S, H * D)
