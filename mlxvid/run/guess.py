"""How long a clip will take on a machine that never made one like it: a guess from the operations
of its plan and the speed of the chip. Nothing is loaded or measured for it.
"""

from __future__ import annotations

from mlxvid.model.sharing import THUNDERBOLT
from mlxvid.model.speed import speed_of

from .planning import Plan

# Pixels a second that are written to a file: an H.264 encoder on one core does more.
_SAVED_PIXELS = 30e6


def guessed_seconds(planned: Plan, passes: float) -> dict[str, float]:
    """Seconds by stage: load, encode, denoise, decode, save. passes: as
    :func:`mlxvid.run.evaluations.passes_of` has them, of one machine.
    """
    speed = speed_of(planned.machine)
    denoise = planned.operations["denoise"] / planned.machines / speed.products
    weights = sum(sum(types.values()) for types in planned.weights.values())
    operations = planned.operations
    return {
        "load": weights / speed.reading,
        "encode": operations["encode"] / speed.products,
        "denoise": passes * (denoise + planned.sent_bytes / THUNDERBOLT),
        "decode": operations["decode"] / speed.convolutions,
        "save": planned.pixel_values / 3 / _SAVED_PIXELS,
    }
