"""Adaptive norms, and what is added before them: one Metal kernel where it can be used, else plain
MLX.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from importlib.resources import files

import mlx.core as mx

from .plain import gated, plain_modulated
from .switch import off_reason

CHUNK = 4  # channels that a lane reads at once
WIDEST = 8192  # channels, of which a lane then has 32 in registers
MOST_SIMDS = 8
DTYPES = (mx.float32, mx.float16, mx.bfloat16)


def modulated(
    x: mx.array,
    shift: mx.array | None,
    scale: mx.array,
    eps: float,
    *,
    centred: bool = True,
    offset: int = 1,
    front: int = 0,
) -> mx.array:
    """A norm of x [..., C] over its channels, times (offset + scale), and shift added if there is
    one, in x's type.

    shift, scale: a vector for all, [C], or as many axes as x has and one for each of its first axes
    or for all, such as [B, 1, C]. centred: layer norm, else RMS norm (adaLN, arXiv:2212.09748).
    front: of x [B, N, C], the first rows of each item that have vectors of their own; all are then
    [B or 1, 2, C], the second for those rows.
    """
    if off_reason() or refusal(x, *vectors_of(shift, scale), front=front):
        return plain_modulated(x, shift, scale, eps, centred, offset, front)
    (out,) = launch(x, None, None, shift, scale, eps, centred, offset, front)
    return out


def added_and_modulated(
    x: mx.array,
    change: mx.array,
    gate: mx.array | None,
    shift: mx.array | None,
    scale: mx.array,
    eps: float,
    *,
    centred: bool = True,
    offset: int = 1,
    front: int = 0,
) -> tuple[mx.array, mx.array]:
    """x + change, or x + change * gate, and :func:`modulated` of that."""
    refused = off_reason() or refusal(x, *vectors_of(shift, scale, gate), front=front)
    if refused or change.dtype != x.dtype:
        total = x + change if gate is None else gated(x, change, gate, front)
        return total, plain_modulated(total, shift, scale, eps, centred, offset, front)
    total, out = launch(x, change, gate, shift, scale, eps, centred, offset, front)
    return total, out


def vectors_of(*vectors: mx.array | None) -> list[mx.array]:
    """The vectors that there are."""
    return [vector for vector in vectors if vector is not None]


def refusal(x: mx.array, *vectors: mx.array, front: int = 0) -> str | None:
    """Why the kernel is not launched on these arrays, or None."""
    channels = x.shape[-1]
    if channels % CHUNK or not 2 * CHUNK <= channels <= WIDEST:
        return f"{channels} channels (the kernel takes fours of them, up to {WIDEST})"
    if x.dtype not in DTYPES or any(vector.dtype not in DTYPES for vector in vectors):
        return "element types other than float32, float16 or bfloat16"
    if x.size == 0:
        return "nothing to compute"
    shapes = {vector.shape for vector in vectors}
    if len(shapes) > 1 or not repeats(x.shape, shapes.pop(), front):
        return "vectors for other axes than the first ones"
    return None


def repeats(shape: tuple[int, ...], vectors: tuple[int, ...], front: int = 0) -> int:
    """How many neighbouring rows of an array [..., C] share a vector of [..., 1, C] or [C], or with
    a front two of [..., 2, C]; 0 where those that do aren't neighbours.
    """
    if front:
        batch, tokens, channels = shape
        return tokens if vectors in ((1, 2, channels), (batch, 2, channels)) else 0
    if vectors[-1] != shape[-1] or len(vectors) not in (1, len(shape)):
        return 0
    lead = list(vectors[:-1]) or [1] * (len(shape) - 1)
    rows = 1
    sides = list(shape[:-1])
    while lead and lead[-1] == 1:
        lead.pop()
        rows *= sides.pop()
    while lead and lead[0] == 1:
        lead.pop(0)
        sides.pop(0)
    return rows if lead == sides[len(sides) - len(lead) :] else 0


def sources(changed: bool) -> tuple[str, str]:
    """The kernel's helper functions and its body, as ``mx.fast.metal_kernel`` takes them."""
    folder = files("mlxvid.kernels")
    header = folder.joinpath("rows.metal").read_text(encoding="utf-8")
    body = folder.joinpath("modulation.metal").read_text(encoding="utf-8")
    return f"#define CHANGED {int(changed)}\n{header}", body


@cache
def _kernel(metal_kernel: Callable, changed: bool) -> Callable:
    """The kernel, made once by each `metal_kernel`: tests replace MLX's with an emulator's."""
    header, body = sources(changed)
    added = ["change", "gate"] if changed else []
    return metal_kernel(
        name="mlxvid_added_modulation" if changed else "mlxvid_modulation",
        input_names=["x", *added, "shift", "scale", "eps", "rows", "vectors", "front"],
        output_names=["sum", "out"] if changed else ["out"],
        header=header,
        source=body,
    )


def launch(
    x: mx.array,
    change: mx.array | None,
    gate: mx.array | None,
    shift: mx.array | None,
    scale: mx.array,
    eps: float,
    centred: bool,
    offset: int,
    front: int = 0,
) -> list[mx.array]:
    """Run the kernel; the sum comes first where there is a change."""
    channels = x.shape[-1]
    count = math.prod(scale.shape[:-1])
    rows = repeats(x.shape, scale.shape, front)
    simds = min(MOST_SIMDS, -(-channels // (32 * CHUNK)))
    added = [] if change is None else [change, scale if gate is None else gate]
    counts = [mx.array(number, mx.int32) for number in (rows, count, front)]
    outputs = 1 if change is None else 2
    return _kernel(mx.fast.metal_kernel, change is not None)(
        inputs=[
            x,
            *added,
            scale if shift is None else shift,
            scale,
            mx.array(eps, mx.float32),
            *counts,
        ],
        template=[
            ("T", x.dtype),
            ("C", channels),
            ("SIMDS", simds),
            ("CENTRED", centred),
            ("GATED", gate is not None),
            ("SHIFTED", shift is not None),
            ("OFFSET", offset),
            ("KINDS", 2 if front else 1),
        ],
        grid=(32 * simds, x.size // channels, 1),
        threadgroup=(32 * simds, 1, 1),
        output_shapes=[x.shape] * outputs,
        output_dtypes=[x.dtype] * outputs,
    )
