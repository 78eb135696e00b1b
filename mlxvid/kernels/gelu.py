"""GELU written beside other channels: one Metal kernel where it can be used, else plain MLX."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files

import mlx.core as mx

from .switch import off_reason

CHUNK = 4  # channels that a lane writes
DTYPES = (mx.float32, mx.float16, mx.bfloat16)
THREADS = 256


def joined_gelu(x: mx.array, inner: mx.array, gelu: Callable[[mx.array], mx.array]) -> mx.array:
    """x [..., A] and GELU of inner [..., B] as one array [..., A + B], without a copy of either.

    GELU is its tanh approximation (arXiv:1606.08415), in float32. gelu: what computes it where the
    kernel isn't used.
    """
    if off_reason() or refusal(x, inner):
        return mx.concatenate([x, gelu(inner)], axis=-1)
    return launch(x, inner)


def refusal(x: mx.array, inner: mx.array) -> str | None:
    """Why the kernel is not launched on these arrays, or None."""
    if x.shape[-1] % CHUNK or inner.shape[-1] % CHUNK:
        return f"{x.shape[-1]} and {inner.shape[-1]} channels (the kernel takes fours of them)"
    if x.dtype not in DTYPES or inner.dtype != x.dtype:
        return "element types other than float32, float16 or bfloat16, the same for both"
    if x.size == 0:
        return "nothing to compute"
    return None


def sources() -> tuple[str, str]:
    """The kernel's helper functions and its body, as ``mx.fast.metal_kernel`` takes them."""
    folder = files("mlxvid.kernels")
    header = folder.joinpath("rows.metal").read_text(encoding="utf-8")
    return header, folder.joinpath("gelu.metal").read_text(encoding="utf-8")


@cache
def _kernel(metal_kernel: Callable) -> Callable:
    """The kernel, made once by each `metal_kernel`: tests replace MLX's with an emulator's."""
    header, body = sources()
    return metal_kernel(
        name="mlxvid_joined_gelu",
        input_names=["x", "inner"],
        output_names=["out"],
        header=header,
        source=body,
    )


def launch(x: mx.array, inner: mx.array) -> mx.array:
    """Run the kernel."""
    a = x.shape[-1]
    b = inner.shape[-1]
    chunks = (a + b) // CHUNK
    (out,) = _kernel(mx.fast.metal_kernel)(
        inputs=[x, inner],
        template=[("T", x.dtype), ("A", a), ("B", b)],
        grid=(chunks, x.size // a, 1),
        threadgroup=(min(chunks, THREADS), 1, 1),
        output_shapes=[(*x.shape[:-1], a + b)],
        output_dtypes=[x.dtype],
    )
    return out
