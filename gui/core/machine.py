"""This machine's memory as plans see it, found without MLX."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from mlxvid.model.machine import Machine, this_machine


def machine_without_mlx() -> Machine:
    """This machine; on a Mac without Metal's limit, which the worker reports later."""
    if sys.platform == "darwin":
        return this_machine(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return this_machine()


def memory_kills() -> int:
    """How many processes Linux has ended for want of memory since it began; 0 elsewhere."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def machine_from(facts: Any) -> Machine | None:
    """The machine in a worker's `ready` event; None where there is none."""
    kinds = {"name": str, "total": int, "usable": int, "metal": bool}
    if not isinstance(facts, dict):
        return None
    if not all(isinstance(facts.get(name), kind) for name, kind in kinds.items()):
        return None
    chip = facts.get("chip")
    return Machine(
        **{name: facts[name] for name in kinds}, chip=chip if isinstance(chip, str) else ""
    )
