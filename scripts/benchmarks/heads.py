"""Attention with heads of 72 channels as they are, and with zeros to 96, on this Mac.

An M5 has matrix units, for which MLX has attention of 96 channels, not of 72. The times include
the copies that the zeros take.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import mlx.core as mx

from mlxvid.layers.attention import attend_in_parts
from mlxvid.padded_heads import SWITCH

from .timing import median_seconds

# What must be saved before a switch is worth setting: less is within the noise.
WORTH = 1.05


class Shape(NamedTuple):
    """Attention over N tokens of each of B frames, in H heads of 72 channels of a type."""

    name: str
    B: int
    N: int
    H: int
    dtype: mx.Dtype


SHAPES = [
    Shape("Latte, 16 frames at 512x512", 16, 1024, 16, mx.float16),
    Shape("Open-Sora 1.2, 15 frames at 424x240", 15, 405, 16, mx.bfloat16),
    Shape("Open-Sora 1.2, 30 frames at 848x480", 30, 1590, 16, mx.bfloat16),
]


@contextmanager
def switched(value: str) -> Iterator[None]:
    """The switch is `value` within the block."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = value
    try:
        yield
    finally:
        del os.environ[SWITCH]
        if before is not None:
            os.environ[SWITCH] = before


def times(shape: Shape, repeats: int) -> tuple[float, float]:
    """Milliseconds of attention without and with the zeros, tokens in rows before and after."""
    size = (shape.B, shape.N, shape.H, 72)
    q, k, v = (mx.random.normal(size, key=mx.random.key(i)).astype(shape.dtype) for i in range(3))
    mx.eval(q, k, v)

    def call() -> None:
        out = attend_in_parts(*(heads.transpose(0, 2, 1, 3) for heads in (q, k, v)))
        mx.eval(out.transpose(0, 2, 1, 3).reshape(shape.B, shape.N, -1))

    measured = []
    for value in ("0", "1"):
        with switched(value):
            measured.append(1000 * median_seconds(call, repeats))
    return measured[0], measured[1]


def advice(measured: Sequence[tuple[float, float]]) -> str:
    """What to set, of the times without and with the zeros: what all of them together say."""
    gain = sum(plain for plain, _ in measured) / sum(wide for _, wide in measured)
    if gain >= WORTH:
        return f"With zeros it takes 1/{gain:.2f} of the time: set {SWITCH}=1 on this Mac."
    return f"With zeros it takes 1/{gain:.2f} of the time: leave {SWITCH} unset on this Mac."


def bench(repeats: int) -> None:
    """Print the times of every shape, and what to set."""
    if not mx.metal.is_available():
        print(f"Only a Mac can tell: run this on yours before you set {SWITCH}.")
        return
    device = mx.device_info().get("device_name", "this device")
    print(f"Measured on {device}, median of {repeats}:")
    print(f"{'shape':40}{'72, ms':>10}{'96, ms':>10}")
    measured = []
    for shape in SHAPES:
        measured.append(times(shape, repeats))
        print(f"{shape.name:40}{measured[-1][0]:10.2f}{measured[-1][1]:10.2f}", flush=True)
    print(advice(measured))
