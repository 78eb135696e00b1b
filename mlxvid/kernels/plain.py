"""The kernels' computations in plain MLX.

Each is the definition that its kernel is tested against, and the path taken without a kernel.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import mlx.core as mx


class Rotary(NamedTuple):
    """Tables of a rotary position embedding over one axis, and how channels pair up.

    cos, sin: float32 [T, D/2], the cosine and sine of each position's angles.
    pairing: ``"interleaved"`` rotates channels (2i, 2i + 1) together (RoFormer, arXiv:2104.09864;
    the video DiTs), ``"half"`` channels (i, i + D/2) (GPT-NeoX, Llama).
    """

    cos: mx.array
    sin: mx.array
    pairing: str = "interleaved"


def rotate(x: mx.array, rope: Rotary) -> mx.array:
    """Rotate the channels of x [B, T, S, H, D] by the angles of the positions on T.

    Computed in float32, returned in x's type.
    """
    cos = rope.cos[None, :, None, None, :]
    sin = rope.sin[None, :, None, None, :]
    wide = x.astype(mx.float32)
    if rope.pairing == "interleaved":
        pairs = wide.reshape(*x.shape[:-1], -1, 2)
        a = pairs[..., 0]
        b = pairs[..., 1]
        rotated = mx.stack([a * cos - b * sin, a * sin + b * cos], axis=-1).reshape(x.shape)
    else:
        a, b = mx.split(wide, 2, axis=-1)
        rotated = mx.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
    return rotated.astype(x.dtype)


def gated(x: mx.array, change: mx.array, gate: mx.array, front: int = 0) -> mx.array:
    """x + change * gate, computed in the gate's type where that is wider, returned in x's.

    front: of x [B, N, C], the first rows of each item that have the second of the gates
    [B or 1, 2, C]; all others have the first.
    """
    if front:
        return _gated_of_rows(x, change, gate, front)
    return _gated(x, change, gate)


@mx.compile
def _gated_of_rows(x: mx.array, change: mx.array, gate: mx.array, front: int) -> mx.array:
    return _gated(x, change, _of_rows(gate, x, front))


def _of_rows(vectors: mx.array, x: mx.array, front: int) -> mx.array:
    """Of two vectors for each item that of each of its rows: [B, 2, C] -> [B, N, C]."""
    is_front = (mx.arange(x.shape[1]) < front)[:, None]
    return mx.where(is_front, vectors[:, 1:], vectors[:, :1])


@partial(mx.compile, shapeless=True)
def _gated(x: mx.array, change: mx.array, gate: mx.array) -> mx.array:
    wide = mx.result_type(x, gate)
    return (x.astype(wide) + change.astype(wide) * gate).astype(x.dtype)


def plain_modulated(
    x: mx.array,
    shift: mx.array | None,
    scale: mx.array,
    eps: float,
    centred: bool = True,
    offset: int = 1,
    front: int = 0,
) -> mx.array:
    """A norm of x [..., C] over its channels, times (offset + scale), and shift added if there is
    one.

    centred: layer norm, else RMS norm. Computed in the widest of the three types, returned in x's.
    front: as in :func:`gated`.
    """
    if shift is None:
        shift = mx.zeros_like(scale)
    if not centred and not front:
        return _rms_modulated(x, shift, scale, eps, offset)
    # Not compiled: on the CPU, where the norm is made of its parts, that would hold more.
    wide = x.astype(mx.result_type(x, scale))
    norm = (
        mx.fast.layer_norm(wide, None, None, eps) if centred else mx.fast.rms_norm(wide, None, eps)
    )
    if front:
        return _modulated_of_rows(norm, shift, scale, offset, front).astype(x.dtype)
    return (norm * (offset + scale) + shift).astype(x.dtype)


@mx.compile
def _modulated_of_rows(
    normed: mx.array, shift: mx.array, scale: mx.array, offset: int, front: int
) -> mx.array:
    return normed * (offset + _of_rows(scale, normed, front)) + _of_rows(shift, normed, front)


@partial(mx.compile, shapeless=True)
def _rms_modulated(
    x: mx.array, shift: mx.array, scale: mx.array, eps: float, offset: int
) -> mx.array:
    normed = mx.fast.rms_norm(x.astype(mx.result_type(x, scale)), None, eps)
    return (normed * (offset + scale) + shift).astype(x.dtype)


def plain_normed_rotated(
    x: mx.array,
    weight: mx.array,
    bias: mx.array | None,
    rope: Rotary,
    eps: float,
    more: tuple[mx.array, mx.array] | None = None,
) -> mx.array:
    """x [B, N, H, D], normed, then rotated by its token's angles in float32.

    weight: [D], for a norm of each head, or [H*D], for one over all heads; with a bias it is a
    layer norm, else an RMS norm. rope: tables [N, D/2] for all heads, or [N, H*D/2] for each. more:
    tokens that come after those of x, and the weight of their norm.
    """
    if more is not None:
        n = x.shape[1]
        before = Rotary(rope.cos[:n], rope.sin[:n], rope.pairing)
        after = Rotary(rope.cos[n:], rope.sin[n:], rope.pairing)
        parts = [
            plain_normed_rotated(x, weight, bias, before, eps),
            plain_normed_rotated(*more, bias, after, eps),
        ]
        return mx.concatenate(parts, axis=1)
    if bias is not None:
        x = mx.fast.layer_norm(x, weight, bias, eps)
    else:
        flat = x if weight.size == x.shape[-1] else x.reshape(*x.shape[:2], -1)
        x = mx.fast.rms_norm(flat, weight, eps).reshape(x.shape)
    return rotated(x, rope)


def rotated(x: mx.array, rope: Rotary) -> mx.array:
    """x [B, N, H, D], rotated by its token's angles in float32; rope: as in
    :func:`plain_normed_rotated`.
    """
    # Pairs of neighbours whose heads have angles of their own rotate as those of one wide head.
    own = 2 * rope.cos.shape[-1] > x.shape[-1]
    heads = x.reshape(*x.shape[:2], 1, -1) if own else x
    return _rotated(heads, *rope).reshape(x.shape)


@mx.compile
def _rotated(x: mx.array, cos: mx.array, sin: mx.array, pairing: str) -> mx.array:
    return rotate(x[:, :, None], Rotary(cos, sin, pairing))[:, :, 0]


def plain_temporal_attention(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    q_norm: mx.array | None = None,
    k_norm: mx.array | None = None,
    rope: Rotary | None = None,
    *,
    scale: float,
    eps: float = 1e-6,
) -> mx.array:
    """Attention over T at every position: q, k, v [B, T, S, H, D] -> [B, T, S, H*D].

    Equal to PyTorch's ``scaled_dot_product_attention`` on [B*S, H, T, D] after RMS norm over D and
    rotary position embedding over T. The norms' statistics, the rotation and the softmax are
    computed in float32.
    """
    B, T, S, H, D = q.shape
    if q_norm is not None:
        q = mx.fast.rms_norm(q, q_norm, eps)
    if k_norm is not None:
        k = mx.fast.rms_norm(k, k_norm, eps)
    if rope is not None:
        q = rotate(q, rope)
        k = rotate(k, rope)
    q = q.transpose(0, 2, 3, 1, 4).reshape(B * S, H, T, D)
    k = k.transpose(0, 2, 3, 1, 4).reshape(B * S, H, T, D)
    v = v.transpose(0, 2, 3, 1, 4).reshape(B * S, H, T, D)
    out = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale)
    return out.reshape(B, S, H, T, D).transpose(0, 3, 1, 2, 4).reshape(B, T, S, H * D)
