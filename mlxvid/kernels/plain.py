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


@partial(mx.compile, shapeless=True)
def gated(x: mx.array, change: mx.array, gate: mx.array) -> mx.array:
    """x + change * gate, computed in the gate's type where that is wider, returned in x's."""
    wide = mx.result_type(x, gate)
    return (x.astype(wide) + change.astype(wide) * gate).astype(x.dtype)


def plain_modulated(
    x: mx.array,
    shift: mx.array,
    scale: mx.array,
    eps: float,
    centred: bool = True,
    offset: int = 1,
) -> mx.array:
    """A norm of x [..., C] over its channels, times (offset + scale), and shift added.

    centred: layer norm, else RMS norm. Computed in the widest of the three types, returned in x's.
    """
    if not centred:
        return _rms_modulated(x, shift, scale, eps, offset)
    # Not compiled: on the CPU, where the norm is made of its parts, that would hold more.
    wide = x.astype(mx.result_type(x, scale))
    normed = mx.fast.layer_norm(wide, None, None, eps)
    return (normed * (offset + scale) + shift).astype(x.dtype)


@partial(mx.compile, shapeless=True)
def _rms_modulated(
    x: mx.array, shift: mx.array, scale: mx.array, eps: float, offset: int
) -> mx.array:
    normed = mx.fast.rms_norm(x.astype(mx.result_type(x, scale)), None, eps)
    return (normed * (offset + scale) + shift).astype(x.dtype)


def plain_normed_rotated(
    x: mx.array, weight: mx.array, bias: mx.array | None, rope: Rotary, eps: float
) -> mx.array:
    """x [B, N, H, D], normed, then rotated by its token's angles in float32.

    weight: [D], for a norm of each head, or [H*D], for one over all heads; with a bias it is a
    layer norm, else an RMS norm. rope: tables [N, D/2] for all heads, or [N, H*D/2] for each.
    """
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
