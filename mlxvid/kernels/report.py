"""A report of which kernels are on."""

from __future__ import annotations

from . import modulation, norm_rotary
from .switch import KernelStatus, off_reason
from .temporal_launch import HEAD_SIZES, LONGEST, PLAIN_BEYOND


def device_report() -> list[KernelStatus]:
    """Every kernel, whether it is on here, and why: what ``mlxvid.plan --device`` prints."""
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
    return [KernelStatus(name, reason is None, reason or why) for name, why in scopes.items()]
