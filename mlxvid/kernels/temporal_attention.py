"""Attention along time, reading the fused projection where it lies: the Metal kernel where it can
be used, else plain MLX.
"""

from __future__ import annotations

import mlx.core as mx

from .plain import Rotary, plain_temporal_attention
from .switch import off_reason
from .temporal_launch import launch, refusal


def temporal_attention(
    qkv: mx.array,
    q_norm: mx.array | None = None,
    k_norm: mx.array | None = None,
    rope: Rotary | tuple | None = None,
    scale: float | None = None,
    eps: float = 1e-6,
) -> mx.array:
    """Every position attends to itself through time: softmax(q k^T * scale) v over T, for each
    batch item, position and head.

    qkv: [B, T, S, 3, H, D], the fused projection as a Linear leaves it (frames T, positions S in a
    frame), or [B, T, S, 3*H*D] reshaped so. q_norm, k_norm: weights [D] of a per-head RMS norm of q
    and k (with eps), or None for no norm. rope: ``Rotary(cos, sin, pairing)``, or a plain (cos,
    sin) pair or (cos, sin, pairing) triple; float32 tables [T, D/2]. scale: of the scores,
    1/sqrt(D) by default. Returns [B, T, S, H*D] in qkv's type; norm statistics, rotation and
    softmax are in float32. Raises ValueError where the shapes or the pairing don't fit together.
    The maths is the temporal half of factored attention (ViViT, arXiv:2103.15691, model 3;
    Open-Sora's and Latte's temporal blocks).
    """
    if qkv.ndim != 6 or qkv.shape[3] != 3:
        raise ValueError(
            f"qkv must be [B, T, S, 3, H, D], but its shape is {tuple(qkv.shape)}; reshape the projection first."
        )
    q, k, v = (qkv[:, :, :, i] for i in range(3))
    return temporal_attention_split(q, k, v, q_norm, k_norm, rope, scale, eps)


def temporal_attention_split(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    q_norm: mx.array | None = None,
    k_norm: mx.array | None = None,
    rope: Rotary | tuple | None = None,
    scale: float | None = None,
    eps: float = 1e-6,
) -> mx.array:
    """The same as :func:`temporal_attention` for checkpoints with three projections: q, k, v [B, T,
    S, H, D], of any strides.
    """
    rope = _checked(q, k, v, q_norm, k_norm, rope)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    fused_steps = rope is not None or q_norm is not None or k_norm is not None
    if off_reason() or refusal(q, k, v, fused_steps):
        return plain_temporal_attention(q, k, v, q_norm, k_norm, rope, scale=scale, eps=eps)
    return _with_plain_gradient(q, k, v, q_norm, k_norm, rope, scale, eps)


def _with_plain_gradient(
    q, k, v, q_norm, k_norm, rope: Rotary | None, scale: float, eps: float
) -> mx.array:
    """The kernel forwards; backwards, the gradient of the plain function that it equals."""
    optional = [x is not None for x in (q_norm, k_norm)] + [rope is not None] * 2
    given = [q, k, v, *(x for x in (q_norm, k_norm, *(rope[:2] if rope else ())) if x is not None)]

    def unpack(arrays: list[mx.array]) -> tuple:
        rest = iter(arrays[3:])
        q_weight, k_weight, cos, sin = (next(rest) if there else None for there in optional)
        return *arrays[:3], q_weight, k_weight, Rotary(cos, sin, rope.pairing) if rope else None

    @mx.custom_function
    def attend(*arrays: mx.array) -> mx.array:
        return launch(*unpack(arrays), scale, eps)

    @attend.vjp
    def gradient(primals: list[mx.array], cotangent: mx.array, _: mx.array) -> list[mx.array]:
        return mx.vjp(
            lambda *arrays: plain_temporal_attention(*unpack(arrays), scale=scale, eps=eps),
            list(primals),
            [cotangent],
        )[1]

    return attend(*given)


def _checked(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    q_norm: mx.array | None,
    k_norm: mx.array | None,
    rope: tuple | None,
) -> Rotary | None:
    """Refuses what doesn't fit together; returns rope as a Rotary."""
    if q.ndim != 5 or k.shape != q.shape or v.shape != q.shape:
        shapes = ", ".join(str(tuple(x.shape)) for x in (q, k, v))
        raise ValueError(
            f"q, k and v must all be [B, T, S, H, D], but their shapes are {shapes}; reshape the projections first."
        )
    T, D = q.shape[1], q.shape[-1]
    for name, weight in (("q_norm", q_norm), ("k_norm", k_norm)):
        if weight is not None and weight.shape != (D,):
            raise ValueError(
                f"{name} must hold one weight for each of the {D} channels of a head, but its shape is {tuple(weight.shape)}."
            )
    if rope is None:
        return None
    rope = Rotary(*rope)
    if rope.pairing not in ("interleaved", "half"):
        raise ValueError(f'rope pairing must be "interleaved" or "half", not {rope.pairing!r}.')
    for name, table in (("cos", rope.cos), ("sin", rope.sin)):
        if table.shape != (T, D // 2) or D % 2:
            raise ValueError(
                f"rope's {name} table must be [T, D/2] = [{T}, {D // 2}], but its shape is {tuple(table.shape)}."
            )
    return rope
