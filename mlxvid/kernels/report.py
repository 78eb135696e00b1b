"""A report of which kernels are on."""

from __future__ import annotations

import mlx.core as mx

from mlxvid import padded_heads

from . import modulation, norm_rotary
from .switch import KernelStatus, off_reason
from .temporal_launch import HEAD_SIZES, LONGEST, PLAIN_BEYOND


def device_report() -> list[KernelStatus]:
    """Every kernel and padded heads, whether they are on here, and why: what
    ``mlxvid.plan --device`` prints.
    """
    reason = off_reason()
    sizes = ", ".join(map(str, HEAD_SIZES[:-1])) + f" or {HEAD_SIZES[-1]}"
    types = "in float32, float16 or bfloat16; plain MLX does the rest."
    scopes = {
        "temporal_attention": (
            f"Used for heads of {sizes} channels and 1 to {LONGEST} frames "
            f"(1 to {PLAIN_BEYOND} without norm and rotary) {types}"
        ),
        "modulation": (
            f"Used for fours of channels, up to {modulation.WIDEST}, and vectors for neighbouring "
            f"rows {types}"
        ),
        "joined_gelu": f"Used for fours of channels {types}",
        "norm_rotary": f"Used for up to {norm_rotary.WIDEST} channels of all heads {types}",
    }
    kernels = [KernelStatus(name, reason is None, reason or why) for name, why in scopes.items()]
    return [*kernels, _padded_heads()]


def _padded_heads() -> KernelStatus:
    """Whether MLX's own attention gets wider heads than the model has."""
    if not mx.metal.is_available():
        why = "There is no Metal device, so heads are as wide as the model has them."
        return KernelStatus("padded_heads", False, why)
    if padded_heads.asked_for():
        why = f"{padded_heads.SWITCH}=1: heads of 72 channels attend as wide as 96."
        return KernelStatus("padded_heads", True, why)
    why = (
        f"{padded_heads.SWITCH}=1 makes heads of 72 channels 96 wide; scripts/bench.py heads says "
        "whether that is quicker here."
    )
    return KernelStatus("padded_heads", False, why)
