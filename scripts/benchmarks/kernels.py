"""The temporal attention kernel: bytes that it moves, and its time.

The bytes, and the time that memory bandwidth alone allows, are computed; with a Metal device the
real times are measured too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import mlx.core as mx

from mlxvid.kernels import Rotary, device_report
from mlxvid.kernels.plain import plain_temporal_attention
from mlxvid.kernels.temporal_launch import launch, layout

from .timing import median_seconds

# Apple's published memory bandwidths, in GB/s.
BANDWIDTHS = {
    "M1": 68,
    "M2": 100,
    "M3": 100,
    "M4": 120,
    "M5": 153,
    "M4 Pro": 273,
    "M4 Max": 546,
    "M3 Ultra": 819,
}


class Shape(NamedTuple):
    """One model's temporal attention: [B, T, S, H, D] of a type, its norms and its rotary."""

    name: str
    B: int
    T: int
    S: int
    H: int
    D: int
    dtype: mx.Dtype
    norm: bool
    rope: str | None


SHAPES = [
    Shape("mini, 33 frames at 96x96", 2, 9, 36, 3, 64, mx.float32, True, "half"),
    Shape("mini, 129 frames at 96x96", 2, 33, 36, 3, 64, mx.float32, True, "half"),
    Shape("Latte, 16 frames at 512x512", 2, 16, 1024, 16, 72, mx.float16, False, None),
    Shape("Latte, the same without guidance", 1, 16, 1024, 16, 72, mx.float16, False, None),
    Shape("Open-Sora 1.2, 51 frames at 240p", 2, 15, 405, 16, 72, mx.bfloat16, True, "interleaved"),
    Shape(
        "Open-Sora 1.2, 102 frames at 480p", 2, 30, 1590, 16, 72, mx.bfloat16, True, "interleaved"
    ),
    Shape(
        "Open-Sora 1.2, 204 frames at 480p", 2, 60, 1590, 16, 72, mx.bfloat16, True, "interleaved"
    ),
    Shape(
        "Open-Sora 1.2, 204 frames, float32", 2, 60, 1590, 16, 72, mx.float32, True, "interleaved"
    ),
]


def minimum_bytes(s: Shape) -> int:
    """q, k and v once in, the output once out."""
    return 4 * math.prod(s[1:6]) * s.dtype.size


def kernel_bytes(s: Shape) -> int:
    """What the kernel asks of device memory for q, k, v and its output, as if without a cache.

    The emulator counts the same. Weights and rotary tables (a few KB that every tube shares) come
    from the cache after the first tube and are left out.
    """
    plan = layout(s.T, s.D, s.dtype.size)
    v_reads = 1 if plan.simds == 1 or plan.stage_v else plan.simds
    return minimum_bytes(s) // 4 * (3 + v_reads)


def plain_bytes(s: Shape) -> int:
    """What plain MLX moves, each operation reading its inputs and writing its output once.

    Counted in favour of plain MLX where in doubt.
    rms_norm copies a strided input before it reads it. The rotation is taken as mx.compile would
    fuse it: read, write both halves in float32, join them, cast back. Attention copies its
    transposed inputs where [B, S] can't be merged (B > 1); its output is put back in order.
    """
    size = s.dtype.size
    norm = 4 * size if s.norm else 0
    rotation = 0
    if s.rope:
        rotation = (size + 4) + (4 + 4) + (4 + size if size != 4 else 0)
    transposed = 2 * size if s.B > 1 else 0
    return math.prod(s[1:6]) * (2 * (norm + rotation) + 3 * transposed + 4 * size + 2 * size)


def inputs(s: Shape) -> tuple[Any, ...]:
    """The arguments of `launch`: q, k, v, two norm weights, rotary, scale and eps.

    q, k and v are views of one random projection.
    """
    qkv = mx.random.normal((s.B, s.T, s.S, 3, s.H, s.D), key=mx.random.key(0)).astype(s.dtype)
    weight = mx.ones((s.D,), s.dtype) if s.norm else None
    angles = mx.arange(s.T)[:, None] * mx.exp(-mx.arange(s.D // 2) / 10)
    rope = Rotary(mx.cos(angles), mx.sin(angles), s.rope) if s.rope else None
    mx.eval(qkv, angles)
    q, k, v = (qkv[:, :, :, i] for i in range(3))
    return q, k, v, weight, weight, rope, s.D**-0.5, 1e-6


def milliseconds(call: Callable[[], mx.array], repeats: int) -> float:
    """The median time of a call over `repeats` evaluations of ten, so that launching is hidden."""

    def ten() -> None:
        mx.eval([call() for _ in range(10)])

    ten()
    ten()
    return median_seconds(ten, repeats) * 100


def table(markdown: bool = False) -> str:
    """Bytes and computed times of every shape, one line each."""
    heads = ["shape", "T", "D", "type", "minimum MB", "kernel", "plain MLX"]
    heads += [f"{name} ms" for name in BANDWIDTHS]
    rows = [cells(s) for s in SHAPES]
    if markdown:
        lines = [heads, ["---"] * len(heads), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    columns = list(zip(heads, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for name, *rest in [heads, *rows]:
        padded = [f"  {cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append([name.ljust(widths[0]), *padded])
    return "\n".join("".join(line) for line in lines)


def cells(s: Shape) -> list[str]:
    """One shape's line of the table."""
    least = minimum_bytes(s)
    kind = str(s.dtype).rsplit(".", 1)[-1]
    ratios = [f"{kernel_bytes(s) / least:.2f}x", f"{plain_bytes(s) / least:.2f}x"]
    times = [f"{kernel_bytes(s) / bandwidth / 1e6:.3f}" for bandwidth in BANDWIDTHS.values()]
    return [s.name, str(s.T), str(s.D), kind, f"{least / 1e6:.1f}", *ratios, *times]


def measure(s: Shape, repeats: int) -> str:
    """One shape measured on this device.

    The times of kernel and plain MLX, the bandwidth that the kernel reached, and how far their
    answers are apart.
    """
    arguments = inputs(s)
    *arrays, scale, eps = arguments

    def plain() -> mx.array:
        return plain_temporal_attention(*arrays, scale=scale, eps=eps)

    ours = launch(*arguments).astype(mx.float32)
    theirs = plain().astype(mx.float32)
    apart = (mx.abs(ours - theirs).max() / mx.abs(theirs).max()).item()
    fast = milliseconds(lambda: launch(*arguments), repeats)
    slow = milliseconds(plain, repeats)
    rate = kernel_bytes(s) / fast / 1e6
    return f"{s.name:38}{fast:10.3f}{slow:10.3f}{slow / fast:8.2f}x{rate:10.0f}{apart:12.1e}"


def bench(repeats: int, markdown: bool = False) -> None:
    """Print the computed table and, where Metal is there, what this machine does."""
    if markdown:
        print(table(markdown=True))
        return
    for status in device_report():
        print(f"{status.name}: {'on' if status.on else 'off'}. {status.why}")
    print(
        "\nBytes over the minimum, and milliseconds that memory bandwidth alone would take the "
        "kernel. COMPUTED, not measured:"
    )
    print(table())
    if not mx.metal.is_available():
        print(
            "\nNothing is measured here, for there is no Metal device; on a Mac this prints real "
            "times too. Please send them to us."
        )
        return
    device = mx.device_info().get("device_name", "this device")
    print(f"\nMeasured on {device}, median of {repeats} evaluations of ten calls:")
    heads = ("kernel ms", "plain ms", "faster", "GB/s", "difference")
    widths = (10, 10, 9, 10, 12)
    columns = "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    print(f"{'shape':38}{columns}")
    for s in SHAPES:
        print(measure(s, repeats), flush=True)
