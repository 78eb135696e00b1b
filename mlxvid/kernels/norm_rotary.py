"""Norm and rotary position embedding of queries or keys: one Metal kernel where it can be used,
else plain MLX.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files

import mlx.core as mx

from .plain import Rotary, plain_normed_rotated
from .switch import off_reason

DTYPES = (mx.float32, mx.float16, mx.bfloat16)
MOST_SIMDS = 8
WIDEST = 8192  # channels of all heads
UNUSED = 8  # elements of an unused input: fewer would change its address space and the signature


Tokens = tuple[mx.array, mx.array]
"""Queries or keys [B, L, H, D], and the weight of their norm."""


def normed_rotated(
    x: mx.array,
    weight: mx.array,
    rope: Rotary,
    eps: float = 1e-6,
    bias: mx.array | None = None,
    more: Tokens | None = None,
) -> mx.array:
    """Queries or keys x [B, N, H, D] of any strides, normed, then rotated by their token's angles.

    weight: [D], for a norm of each head, or [H*D], for one over all heads; with a bias [D] it is a
    layer norm of each head, else an RMS norm. rope: float32 tables [N, D/2] for all heads, or, of
    interleaved pairs, [N, H*D/2] for each. Statistics and rotation are in float32. more: tokens
    that come after those of x, as large, with a weight of their own; the tables are then for all.
    """
    if off_reason() or refusal(x) or (more and unlike(more, (x, weight))):
        return plain_normed_rotated(x, weight, bias, rope, eps, more)
    return launch(x, weight, bias, rope, eps, more)


def refusal(x: mx.array) -> str | None:
    """Why the kernel is not launched on x [B, N, H, D], or None."""
    _, _, heads, channels = x.shape
    if channels % 2 or channels < UNUSED or heads * channels > WIDEST:
        return f"{heads} heads of {channels} channels (the kernel takes {WIDEST} in pairs)"
    if x.dtype not in DTYPES:
        return "element types other than float32, float16 or bfloat16"
    if x.size == 0:
        return "nothing to compute"
    return None


def unlike(more: Tokens, tokens: Tokens) -> bool:
    """Whether two of the four arrays have other types or sizes than the other two."""
    return any(
        a.dtype != b.dtype or a.shape[-2:] != b.shape[-2:]
        for a, b in zip(more, tokens, strict=True)
    )


def sources(more: bool) -> tuple[str, str]:
    """The kernel's helper functions and its body, as ``mx.fast.metal_kernel`` takes them."""
    folder = files("mlxvid.kernels")
    header = folder.joinpath("rows.metal").read_text(encoding="utf-8")
    header = f"#define MORE {int(more)}\n{header}"
    return header, folder.joinpath("norm_rotary.metal").read_text(encoding="utf-8")


@cache
def _kernel(metal_kernel: Callable, more: bool) -> Callable:
    """The kernel, made once by each `metal_kernel`: tests replace MLX's with an emulator's."""
    header, body = sources(more)
    added = ["more", "more_weight"] if more else []
    return metal_kernel(
        name="mlxvid_two_norms_rotary" if more else "mlxvid_norm_rotary",
        input_names=["x", "weight", *added, "bias", "cos_table", "sin_table", "eps"],
        output_names=["out"],
        header=header,
        source=body,
        ensure_row_contiguous=False,  # x is read in place, whatever its strides
    )


def launch(
    x: mx.array,
    weight: mx.array,
    bias: mx.array | None,
    rope: Rotary,
    eps: float,
    more: Tokens | None = None,
) -> mx.array:
    """Run the kernel; the arguments are those of :func:`plain_normed_rotated`, which it equals."""
    b, n, heads, channels = x.shape
    if bias is not None:
        norm = 3
    else:
        norm = 1 if weight.size == channels else 2
    simds = min(MOST_SIMDS, heads)
    unused = mx.zeros((UNUSED,), mx.float32)
    cos = mx.contiguous(rope.cos.astype(mx.float32))
    sin = mx.contiguous(rope.sin.astype(mx.float32))
    given = unused if bias is None else mx.contiguous(bias)
    added = []
    if more is not None:
        tokens, own_weight = more
        n += tokens.shape[1]
        added = [tokens, mx.contiguous(own_weight)]
    (out,) = _kernel(mx.fast.metal_kernel, more is not None)(
        inputs=[x, mx.contiguous(weight), *added, given, cos, sin, mx.array(eps, mx.float32)],
        template=[
            ("T", x.dtype),
            ("H", heads),
            ("D", channels),
            ("SIMDS", simds),
            ("NORM", norm),
            ("HALF", rope.pairing == "half"),
            ("OWN", 2 * cos.shape[-1] > channels),
        ],
        grid=(32 * simds, b * n, 1),
        threadgroup=(32 * simds, 1, 1),
        output_shapes=[(b, n, heads, channels)],
        output_dtypes=[x.dtype],
    )
    return out
