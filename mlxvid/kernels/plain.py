"""What the kernels compute, in plain MLX: the definition that each kernel is tested against, and
the path taken without one.
"""

from __future__ import annotations

from typing import NamedTuple

import mlx.core as mx


class Rotary(NamedTuple):
    """Rotary tables over one axis, and how channels pair up.

    cos, sin: float32 [T, D/2], the cosine and sine of each position's angles. pairing:
    ``"interleaved"`` turns channels (2i, 2i + 1) together (RoFormer, arXiv:2104.09864; the video
    DiTs);
        ``"half"`` turns (i, i + D/2) together (GPT-NeoX, Llama).
    """

    cos: mx.array
    sin: mx.array
    pairing: str = "interleaved"


def rotate(x: mx.array, rope: Rotary) -> mx.array:
    """Rotates the channels of x [B, T, S, H, D] by the angles of its T position, in float32;
    returns x's type.
    """
    cos, sin = (t[None, :, None, None, :] for t in (rope.cos, rope.sin))
    wide = x.astype(mx.float32)
    if rope.pairing == "interleaved":
        pairs = wide.reshape(*x.shape[:-1], -1, 2)
        a, b = pairs[..., 0], pairs[..., 1]
        turned = mx.stack([a * cos - b * sin, a * sin + b * cos], axis=-1).reshape(x.shape)
    else:
        a, b = mx.split(wide, 2, axis=-1)
        turned = mx.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
    return turned.astype(x.dtype)


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
    """Attention over T for every batch item, position and head: q, k, v [B, T, S, H, D] -> [B, T,
    S, H*D].

    Equal to PyTorch's ``scaled_dot_product_attention`` on [B*S, H, T, D] after RMS norm over D and
    rotary over T; the norms' statistics, the rotation and the softmax are computed in float32.
    """
    B, T, S, H, D = q.shape
    if q_norm is not None:
        q = mx.fast.rms_norm(q, q_norm, eps)
    if k_norm is not None:
        k = mx.fast.rms_norm(k, k_norm, eps)
    if rope is not None:
        q, k = rotate(q, rope), rotate(k, rope)
    q, k, v = (x.transpose(0, 2, 3, 1, 4).reshape(B * S, H, T, D) for x in (q, k, v))
    out = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale)
    return out.reshape(B, S, H, T, D).transpose(0, 3, 1, 2, 4).reshape(B, T, S, H * D)
