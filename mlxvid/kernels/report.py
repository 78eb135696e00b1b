"""A report of which kernels are on."""

from __future__ import annotations

from .switch import KernelStatus, off_reason
from .temporal_launch import HEAD_SIZES, LONGEST, PLAIN_BEYOND


def device_report() -> list[KernelStatus]:
    """Every kernel, whether it is on here, and why: what ``mlxvid.plan --device`` prints."""
    reason = off_reason()
    sizes = ", ".join(map(str, HEAD_SIZES[:-1])) + f" or {HEAD_SIZES[-1]}"
    scope = (
        f"Used for heads of {sizes} channels and 1 to {LONGEST} frames "
        f"(1 to {PLAIN_BEYOND} without norm and rotary) in float32, float16 or bfloat16; "
        "plain MLX does the rest."
    )
    return [KernelStatus("temporal_attention", reason is None, reason or scope)]
