#!/usr/bin/env python3
"""The temporal attention kernel: bytes moved and the time that memory alone allows (computed), and
on a Mac the real times beside them.

examples:
  scripts/bench_kernels.py              the table; with a Metal device, measured times too
  scripts/bench_kernels.py --markdown   the table of docs/kernels.md
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import mlx.core as mx

from mlxvid.kernels import Rotary, device_report
from mlxvid.kernels.plain import plain_temporal_attention
from mlxvid.kernels.temporal_launch import launch, layout

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
    """One model's temporal attention: [B, T, S, H, D] of a type, with or without norms and rotary."""

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
    """What the kernel asks of device memory for q, k, v and its output, were there no cache at all:
    the emulator counts the same.

    Weights and rotary tables (a few KB that every tube shares) come from the cache after the first
    tube and are not in it.
    """
    plan = layout(s.T, s.D, s.dtype.size)
    v_reads = 1 if plan.simds == 1 or plan.stage_v else plan.simds
    return minimum_bytes(s) // 4 * (3 + v_reads)


def plain_bytes(s: Shape) -> int:
    """What plain MLX moves, each operation reading its inputs and writing its output once; counted
    in favour of plain MLX where in doubt.

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


def inputs(s: Shape) -> tuple:
    """Random q, k, v as views of one projection, norm weights, rotary, scale and eps, as `launch`
    takes them.
    """
    qkv = mx.random.normal((s.B, s.T, s.S, 3, s.H, s.D), key=mx.random.key(0)).astype(s.dtype)
    weight = mx.ones((s.D,), s.dtype) if s.norm else None
    angles = mx.arange(s.T)[:, None] * mx.exp(-mx.arange(s.D // 2) / 10)
    rope = Rotary(mx.cos(angles), mx.sin(angles), s.rope) if s.rope else None
    mx.eval(qkv, angles)
    return *(qkv[:, :, :, i] for i in range(3)), weight, weight, rope, s.D**-0.5, 1e-6


def milliseconds(call: Callable[[], mx.array], repeats: int) -> float:
    """The median of `repeats` evaluated calls after three that warm up, ten in one evaluation so
    that launching doesn't count.
    """
    times = []
    for i in range(repeats + 3):
        start = time.perf_counter()
        mx.eval([call() for _ in range(10)])
        if i >= 3:
            times.append((time.perf_counter() - start) * 100)
    return statistics.median(times)


def table(markdown: bool = False) -> str:
    """Bytes and computed times of every shape, one line each."""
    heads = [
        "shape",
        "T",
        "D",
        "type",
        "minimum MB",
        "kernel",
        "plain MLX",
        *(f"{name} ms" for name in BANDWIDTHS),
    ]
    rows = []
    for s in SHAPES:
        least = minimum_bytes(s)
        times = [f"{kernel_bytes(s) / bandwidth / 1e6:.3f}" for bandwidth in BANDWIDTHS.values()]
        rows.append(
            [s.name, str(s.T), str(s.D), str(s.dtype).rsplit(".", 1)[-1], f"{least / 1e6:.1f}"]
            + [f"{kernel_bytes(s) / least:.2f}x", f"{plain_bytes(s) / least:.2f}x", *times]
        )
    if markdown:
        lines = [heads, ["---"] * len(heads), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(line[i]) for line in [heads, *rows]) for i in range(len(heads))]
    return "\n".join(
        line[0].ljust(widths[0])
        + "".join(f"  {cell:>{w}}" for cell, w in zip(line[1:], widths[1:], strict=True))
        for line in [heads, *rows]
    )


def measure(s: Shape, repeats: int) -> str:
    """Kernel and plain path on this device: their times, the bandwidth that the kernel reached, and
    how far their answers are apart.
    """
    arguments = inputs(s)
    *arrays, scale, eps = arguments
    kernel, plain = launch(*arguments), plain_temporal_attention(*arrays, scale=scale, eps=eps)
    apart = (
        mx.abs(kernel.astype(mx.float32) - plain.astype(mx.float32)).max()
        / mx.abs(plain.astype(mx.float32)).max()
    ).item()
    fast = milliseconds(lambda: launch(*arguments), repeats)
    slow = milliseconds(lambda: plain_temporal_attention(*arrays, scale=scale, eps=eps), repeats)
    rate = kernel_bytes(s) / fast / 1e6
    return f"{s.name:38}{fast:10.3f}{slow:10.3f}{slow / fast:8.2f}x{rate:10.0f}{apart:12.1e}"


def main(argv: list[str] | None = None) -> int:
    """Prints the computed table and, where Metal is there, what this machine does; returns the exit
    code.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/bench_kernels.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print only the table, as in docs/kernels.md"
    )
    parser.add_argument(
        "--repeats", type=int, default=10, help="timed evaluations of ten calls each (10)"
    )
    args = parser.parse_args(argv)
    if args.markdown:
        print(table(markdown=True))
        return 0
    for status in device_report():
        print(f"{status.name}: {'on' if status.on else 'off'}. {status.why}")
    print(
        "\nBytes over the minimum, and milliseconds that memory bandwidth alone would take the kernel. COMPUTED, not measured:"
    )
    print(table())
    if not mx.metal.is_available():
        print(
            "\nNothing is measured here, for there is no Metal device; on a Mac this prints real times too. Please send them to us."
        )
        return 0
    print(
        f"\nMeasured on {mx.device_info().get('device_name', 'this device')}, median of {args.repeats} evaluations of ten calls:"
    )
    print(
        f"{'shape':38}{'kernel ms':>10}{'plain ms':>10}{'faster':>9}{'GB/s':>10}{'difference':>12}"
    )
    for s in SHAPES:
        print(measure(s, args.repeats), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
