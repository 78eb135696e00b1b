"""The machine at hand: how much memory it has, and how much of it a clip may take."""

from __future__ import annotations

import math
import os
import platform
import re
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mlxvid.errors import SettingError

GIB = 2**30

RESERVE = "MLXVID_RESERVE"
"""The variable of the environment with the GiB of memory to leave to other programs."""

# Memory left to the system and to other programs: wiring nearly all of it has frozen 16 GB Macs.
RESERVE_SHARE = 0.2
RESERVE_BYTES = 2 * GIB
# What Metal recommends to keep in use at most (recommendedMaxWorkingSetSize), as llama.cpp's logs
# have it from Macs of many sizes: 10.67 GiB of 16, 16 of 24, 21.33 of 32; 48 of 64, 96 of 128.
# Newer versions of macOS give somewhat more, and the sysctl iogpu.wired_limit_mb raises it.
SMALL_MAC_BYTES = 36 * GIB
SMALL_MAC_SHARE = 2 / 3
LARGE_MAC_SHARE = 3 / 4


@dataclass(frozen=True)
class Machine:
    """name: system and processor; total, usable: bytes of memory, and how many of them a clip may
    take; metal: MLX runs on the GPU. chip: its name on a Mac, as "Apple M2 Pro".
    """

    name: str
    total: int
    usable: int
    metal: bool
    chip: str = ""

    @property
    def bfloat16_is_slow(self) -> bool:
        """Whether its GPU has no bfloat16 of its own, and computes it in float32: M1 and M2."""
        return self.metal and re.search(r"\bM[12]\b", self.chip) is not None


def this_machine(total: int | None = None) -> Machine:
    """The machine at hand, or one like it with `total` bytes of memory.

    Usable is what remains after a reserve of a fifth and at least 2 GiB, or what `MLXVID_RESERVE`
    asks for, never more than half of it all; and on a Mac no more than Metal recommends to keep in
    use: what it says itself, and of another Mac what it says on those of that size at least. Raises
    :class:`SettingError` where that variable is no number.
    """
    metal = platform.system() == "Darwin" and platform.machine() == "arm64"
    ceiling = _metal_working_set() if metal and total is None else None
    total = total or _physical_memory()
    name = f"{_system()} {platform.machine()}"
    if metal:
        return replace(mac(total, name, ceiling), chip=sysctl("machdep.cpu.brand_string"))
    return Machine(name, total, _without_reserve(total), False)


def mac(total: int, name: str = "Mac", ceiling: int | None = None) -> Machine:
    """A Mac with `total` bytes of memory. ceiling: what Metal says there, None for the least that
    it says on Macs of that size.
    """
    if ceiling is None:
        share = SMALL_MAC_SHARE if total <= SMALL_MAC_BYTES else LARGE_MAC_SHARE
        ceiling = int(share * total)
    return Machine(name, total, min(_without_reserve(total), ceiling), True)


def _without_reserve(total: int) -> int:
    reserve = max(int(total * RESERVE_SHARE), RESERVE_BYTES)
    asked = os.environ.get(RESERVE)
    if asked:
        reserve = _gib(asked)
    return total - min(reserve, total // 2)


def _gib(text: str) -> int:
    try:
        reserve = float(text)
    except ValueError:
        reserve = math.nan
    if not 0 <= reserve < math.inf:
        raise SettingError(f"{RESERVE}={text} is no size: give the GiB to leave free, such as 8.")
    return int(reserve * GIB)


def _system() -> str:
    version = platform.mac_ver()[0]
    return f"macOS {version}" if version else platform.system()


@cache
def sysctl(name: str) -> str:
    """What macOS's kernel tells of the machine under a name; "" where it tells nothing."""
    if platform.system() != "Darwin":
        return ""
    try:
        asked = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True)
    except OSError:
        return ""
    return asked.stdout.strip()


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
