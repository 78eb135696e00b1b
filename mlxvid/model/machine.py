"""The machine at hand: how much memory it has, and how much of it a clip may take."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30

# Memory left to the system and to other programs: wiring nearly all of it has frozen 16 GB Macs.
RESERVE_SHARE = 0.2
RESERVE_BYTES = 2 * GIB


@dataclass(frozen=True)
class Machine:
    """name: system and processor; total, usable: bytes of memory, and how many of them a clip may
    take; metal: MLX runs on the GPU.
    """

    name: str
    total: int
    usable: int
    metal: bool


def this_machine(total: int | None = None) -> Machine:
    """The machine at hand, or one like it with `total` bytes of memory.

    Usable is what remains after a reserve of a fifth and at least 2 GiB (half of it all on the
    smallest machines), and on a Mac no more than Metal recommends to keep in use.
    """
    metal = platform.system() == "Darwin" and platform.machine() == "arm64"
    ceiling = _metal_working_set() if metal and total is None else None
    total = total or _physical_memory()
    usable = total - min(max(int(total * RESERVE_SHARE), RESERVE_BYTES), total // 2)
    return Machine(
        f"{_system()} {platform.machine()}", total, min(usable, ceiling or usable), metal
    )


def _system() -> str:
    version = platform.mac_ver()[0]
    return f"macOS {version}" if version else platform.system()


def _metal_working_set() -> int | None:
    import mlx.core as mx  # here, since everything else about a plan is arithmetic

    size = mx.device_info().get("max_recommended_working_set_size")
    return int(size) if size else None


def _physical_memory() -> int:
    """Bytes of memory, or of the container's share where Linux sets one."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in (
        Path("/sys/fs/cgroup/memory.max"),
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ):
        try:
            total = min(total, int(limit.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total
