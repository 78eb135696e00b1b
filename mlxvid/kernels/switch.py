"""Whether kernels are used at all, and why not."""

from __future__ import annotations

import os
from typing import NamedTuple

import mlx.core as mx


class KernelStatus(NamedTuple):
    """One kernel on this machine.

    on: whether calls that it supports reach it. why: why not, or for which calls, in one sentence.
    """

    name: str
    on: bool
    why: str


def off_reason() -> str | None:
    """Why no kernel can run here, or None.

    It is asked at every call, so that ``MLXVID_KERNELS`` may change while Python runs.
    """
    if os.environ.get("MLXVID_KERNELS") == "0":
        return "MLXVID_KERNELS=0 turns the kernels off."
    if not mx.metal.is_available():
        return "There is no Metal device, so plain MLX does the same work."
    return None
