"""Temporal attention in float64 NumPy: the reference of the plain path and the kernel."""

from __future__ import annotations

import numpy as np


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, pairing: str) -> np.ndarray:
    """x [B, T, S, H, D], tables [T, D/2]: each pair as a complex number times cos + i sin."""
    D = x.shape[-1]
    if pairing == "interleaved":
        first = np.arange(0, D, 2)
        second = np.arange(1, D, 2)
    else:
        first = np.arange(D // 2)
        second = np.arange(D // 2, D)
    angles = (cos + 1j * sin)[None, :, None, None, :]
    rotated = (x[..., first] + 1j * x[..., second]) * angles
    out = np.empty_like(x)
    out[..., first] = rotated.real
    out[..., second] = rotated.imag
    return out


def temporal_attention(
    q, k, v, q_norm=None, k_norm=None, rope=None, scale=None, eps=1e-6
) -> np.ndarray:
    """q, k, v [B, T, S, H, D] of any float type -> float64 [B, T, S, H*D]."""
    q = np.asarray(q, np.float64)
    k = np.asarray(k, np.float64)
    v = np.asarray(v, np.float64)
    B, T, S, H, D = q.shape
    if q_norm is not None:
        q = rms_norm(q, np.asarray(q_norm, np.float64), eps)
    if k_norm is not None:
        k = rms_norm(k, np.asarray(k_norm, np.float64), eps)
    if rope is not None:
        cos, sin, pairing = rope
        cos = np.asarray(cos, np.float64)
        sin = np.asarray(sin, np.float64)
        q = rotate(q, cos, sin, pairing)
        k = rotate(k, cos, sin, pairing)
    scores = np.einsum("btshd,bushd->bshtu", q, k) * (D**-0.5 if scale is None else scale)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("bshtu,bushd->btshd", weights, v).reshape(B, T, S, H * D)
