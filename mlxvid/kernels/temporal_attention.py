"""Attention along time: the Metal kernel where it can be used, else plain MLX.

The kernel reads q, k and v in place from the fused projection, without transposes or copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import mlx.core as mx

from .plain import Rotary, plain_temporal_attention
from .switch import off_reason
from .temporal_launch import HEAD_SIZES, LONGEST, launch, refusal

RotaryLike = Rotary | tuple[mx.array, mx.array] | tuple[mx.array, mx.array, str]


def temporal_attention(
    qkv: mx.array,
    q_norm: mx.array | None = None,
    k_norm: mx.array | None = None,
    rope: RotaryLike | None = None,
    scale: float | None = None,
    eps: float = 1e-6,
) -> mx.array:
    """Attention of every position to itself over time: softmax(q k^T * scale) v over T.

    qkv: [B, T, S, 3, H, D], the fused projection as a Linear leaves it (frames T, positions S in a
    frame), or [B, T, S, 3*H*D] reshaped to it. q_norm, k_norm: weights [D] of a per-head RMS norm
    of q and k (with eps), or None for no norm. rope: ``Rotary(cos, sin, pairing)``, or a plain
    (cos, sin) pair or (cos, sin, pairing) triple; float32 tables [T, D/2]. scale: of the scores,
    1/sqrt(D) by default.

    Returns [B, T, S, H*D] in qkv's type; norm statistics, rotation and softmax are in float32.
    Raises ValueError where the shapes or the pairing don't fit together. The maths is the temporal
    half of factored attention (ViViT, arXiv:2103.15691, model 3; Open-Sora's and Latte's temporal
    blocks).
    """
    if qkv.ndim != 6 or qkv.shape[3] != 3:
        raise ValueError(
            f"qkv must be [B, T, S, 3, H, D], but its shape is {tuple(qkv.shape)}; "
            "reshape the projection first."
        )
    q = qkv[:, :, :, 0]
    k = qkv[:, :, :, 1]
    v = qkv[:, :, :, 2]
    return temporal_attention_split(q, k, v, q_norm, k_norm, rope, scale, eps)


def temporal_attention_split(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    q_norm: mx.array | None = None,
    k_norm: mx.array | None = None,
    rope: RotaryLike | None = None,
    scale: float | None = None,
    eps: float = 1e-6,
) -> mx.array:
    """:func:`temporal_attention` of separate q, k, v [B, T, S, H, D], of any strides."""
    tables = _checked(q, k, v, q_norm, k_norm, rope)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    fused_steps = tables is not None or q_norm is not None or k_norm is not None
    if off_reason() or refusal(q, k, v, fused_steps):
        return plain_temporal_attention(q, k, v, q_norm, k_norm, tables, scale=scale, eps=eps)
    return _with_plain_gradient(q, k, v, q_norm, k_norm, tables, scale, eps)


def attends_over(T: int, D: int) -> bool:
    """Whether the kernel is there for T tokens that attend to each other, in heads of D channels,
    with norms or a rotary.
    """
    return off_reason() is None and T <= LONGEST and D in HEAD_SIZES


# q, k, v, q_norm, k_norm, rope
_Operands = tuple[mx.array, mx.array, mx.array, mx.array | None, mx.array | None, Rotary | None]


def _with_plain_gradient(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    q_norm: mx.array | None,
    k_norm: mx.array | None,
    rope: Rotary | None,
    scale: float,
    eps: float,
) -> mx.array:
    """The kernel forwards; backwards, the gradient of the plain function that it equals."""
    # mx.custom_function takes arrays only: what is None is left out here and put back in operands.
    given = {"q": q, "k": k, "v": v}
    if q_norm is not None:
        given["q_norm"] = q_norm
    if k_norm is not None:
        given["k_norm"] = k_norm
    if rope is not None:
        given["cos"] = rope.cos
        given["sin"] = rope.sin

    def operands(arrays: Sequence[mx.array]) -> _Operands:
        named = dict(zip(given, arrays, strict=True))
        tables = None if rope is None else Rotary(named["cos"], named["sin"], rope.pairing)
        q_weight = named.get("q_norm")
        k_weight = named.get("k_norm")
        return named["q"], named["k"], named["v"], q_weight, k_weight, tables

    def plain(*arrays: mx.array) -> mx.array:
        return plain_temporal_attention(*operands(arrays), scale=scale, eps=eps)

    @mx.custom_function
    def attend(*arrays: mx.array) -> mx.array:
        return launch(*operands(arrays), scale, eps)

    @attend.vjp
    def gradient(primals: list[mx.array], cotangent: mx.array, _: mx.array) -> list[mx.array]:
        return mx.vjp(plain, list(primals), [cotangent])[1]

    # MLX's stubs call the result an object.
    return cast(mx.array, attend(*given.values()))


def _checked(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    q_norm: mx.array | None,
    k_norm: mx.array | None,
    rope: RotaryLike | None,
) -> Rotary | None:
    """rope as a Rotary; raises ValueError where shapes or pairing don't fit together."""
    if q.ndim != 5 or k.shape != q.shape or v.shape != q.shape:
        shapes = ", ".join(str(tuple(x.shape)) for x in (q, k, v))
        raise ValueError(
            f"q, k and v must all be [B, T, S, H, D], but their shapes are {shapes}; "
            "reshape the projections first."
        )
    _, T, _, _, D = q.shape
    for name, weight in (("q_norm", q_norm), ("k_norm", k_norm)):
        if weight is not None and weight.shape != (D,):
            raise ValueError(
                f"{name} must hold one weight for each of the {D} channels of a head, "
                f"but its shape is {tuple(weight.shape)}."
            )
    if rope is None:
        return None
    rope = Rotary(*rope)
    if rope.pairing not in ("interleaved", "half"):
        raise ValueError(f'rope pairing must be "interleaved" or "half", not {rope.pairing!r}.')
    for name, table in (("cos", rope.cos), ("sin", rope.sin)):
        if table.shape != (T, D // 2) or D % 2:
            raise ValueError(
                f"rope's {name} table must be [T, D/2] = [{T}, {D // 2}], "
                f"but its shape is {tuple(table.shape)}."
            )
    return rope
