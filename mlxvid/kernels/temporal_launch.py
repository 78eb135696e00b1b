"""The launch of the temporal attention kernel: layout over SIMD-groups, limits, and the call.

A tube is one position's frames in one head: what attends to itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import mlx.core as mx

from .plain import Rotary

HEAD_SIZES = (64, 72, 96, 128)
LONGEST = 64
DTYPES = (mx.float32, mx.float16, mx.bfloat16)
THREADGROUP_MEMORY = 32768  # bytes; one more is a failed launch on every Apple GPU
# Frames beyond which MLX's own attention is expected to be faster where neither norm nor rotary is
# asked for. It then costs its transposes only, and they are outweighed by the arithmetic, which it
# does on the matrix units: T/2 operations a byte against some 20-35 that the GPUs balance.
PLAIN_BEYOND = 48
UNUSED = 8  # elements of an unused input: fewer would change its address space and the signature


class Layout(NamedTuple):
    """How tubes are spread over threads.

    rows_a_quad: query rows in a quad's registers. simds: SIMD-groups a tube. tubes: tubes a
    threadgroup. stage_v: whether values, like keys, are copied to threadgroup memory.
    """

    rows_a_quad: int
    simds: int
    tubes: int
    stage_v: bool


def layout(T: int, D: int, itemsize: int) -> Layout:
    """The layout for T frames of D channels of `itemsize` bytes.

    A quad has two rows where registers allow (D <= 72) and more than 8 rows are there to fill
    them. At one SIMD-group a tube, each value is read by that SIMD-group alone, so staging it would
    gain nothing; up to four tubes then share a threadgroup within half of its memory, so that two
    threadgroups can be resident.
    """
    rows_a_quad = 2 if D <= 72 and T > 8 else 1
    simds = -(-T // (8 * rows_a_quad))
    key_bytes = 8 * rows_a_quad * simds * D * itemsize
    if simds > 1:
        return Layout(rows_a_quad, simds, 1, 2 * key_bytes <= THREADGROUP_MEMORY)
    return Layout(rows_a_quad, 1, max(1, min(4, THREADGROUP_MEMORY // 2 // key_bytes)), False)


def refusal(q: mx.array, k: mx.array, v: mx.array, fused_steps: bool) -> str | None:
    """Why the kernel is not launched on these arrays [B, T, S, H, D], or None.

    fused_steps: whether a norm or rotary position embedding is part of the call.
    """
    _, T, _, _, D = q.shape
    if D not in HEAD_SIZES:
        return f"heads of {D} channels (the kernel has {', '.join(map(str, HEAD_SIZES))})"
    if not 1 <= T <= LONGEST:
        return f"{T} frames (the kernel takes 1 to {LONGEST})"
    if q.dtype not in DTYPES or k.dtype != q.dtype or v.dtype != q.dtype:
        return "element types other than float32, float16 or bfloat16, the same for q, k and v"
    if q.size == 0:
        return "nothing to compute"
    if T > PLAIN_BEYOND and not fused_steps:
        return (
            f"more than {PLAIN_BEYOND} frames without norm or rotary, "
            "where MLX's matrix-unit attention is expected to be faster"
        )
    return None


def sources() -> tuple[str, str]:
    """The kernel's helper functions and its body, as ``mx.fast.metal_kernel`` takes them."""
    folder = files("mlxvid.kernels")
    header = folder.joinpath("temporal_attention.metal").read_text(encoding="utf-8")
    body = folder.joinpath("temporal_attention_body.metal").read_text(encoding="utf-8")
    return header, body


@cache
def _kernel(metal_kernel: Callable) -> Callable:
    """The kernel, made once by each `metal_kernel`: tests replace MLX's with an emulator's."""
    header, body = sources()
    return metal_kernel(
        name="mlxvid_temporal_attention",
        input_names=[
            "q",
            "k",
            "v",
            "q_weight",
            "k_weight",
            "cos_table",
            "sin_table",
            "scale",
            "eps",
        ],
        output_names=["out"],
        header=header,
        source=body,
        ensure_row_contiguous=False,  # q, k and v are read in place, whatever their strides
    )


def launch(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    q_norm: mx.array | None,
    k_norm: mx.array | None,
    rope: Rotary | None,
    scale: float,
    eps: float,
) -> mx.array:
    """Run the kernel on q, k, v [B, T, S, H, D] of any strides.

    The other arguments are those of :func:`plain_temporal_attention`, which it equals.
    """
    B, T, S, H, D = q.shape
    plan = layout(T, D, q.dtype.size)
    unused = mx.zeros((UNUSED,), mx.float32)
    q_weight = unused if q_norm is None else mx.contiguous(q_norm)
    k_weight = unused if k_norm is None else mx.contiguous(k_norm)
    if rope is None:
        rope_mode = 0
        cos = unused
        sin = unused
    else:
        rope_mode = 1 if rope.pairing == "interleaved" else 2
        cos = mx.contiguous(rope.cos.astype(mx.float32))
        sin = mx.contiguous(rope.sin.astype(mx.float32))
    scalars = [mx.array(scale, mx.float32), mx.array(eps, mx.float32)]
    (out,) = _kernel(mx.fast.metal_kernel)(
        inputs=[q, k, v, q_weight, k_weight, cos, sin, *scalars],
        template=[
            ("T", q.dtype),
            ("D", D),
            ("R", plan.rows_a_quad),
            ("SIMDS", plan.simds),
            ("TUBES", plan.tubes),
            ("STAGE_V", plan.stage_v),
            ("NORM_Q", q_norm is not None),
            ("NORM_K", k_norm is not None),
            ("ROPE", rope_mode),
        ],
        grid=(32 * plan.simds, B * S * H, 1),
        threadgroup=(32 * plan.simds, plan.tubes, 1),
        output_shapes=[(B, T, S, H * D)],
        output_dtypes=[q.dtype],
    )
    return out
