"""How long a clip will take on a machine that never made one like it: a guess from the operations
of its plan and the speed of the chip. Nothing is loaded or measured for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlxvid.catalog import DEFAULT_MODEL, card_of
from mlxvid.model.caching import LEAST_STEPS, first_full
from mlxvid.model.interval import is_within
from mlxvid.model.samplers import evaluations
from mlxvid.model.sharing import THUNDERBOLT
from mlxvid.model.skipped_layers import SkippedLayers
from mlxvid.model.speed import speed_of
from mlxvid.model.strength import USUAL_STRENGTH, first_step

from .planning import Plan
from .savings import SKIPPED

# Pixels a second that are written to a file: an H.264 encoder on one core does more.
_SAVED_PIXELS = 30e6


def guessed_seconds(planned: Plan, passes: float) -> dict[str, float]:
    """Seconds by stage: load, encode, denoise, decode, save. passes: as :func:`passes_of`, of one
    machine.
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


def passes_of(settings: Mapping[str, Any]) -> float:
    """The most evaluations of the network in a clip of these settings: :func:`evaluations_of`."""
    return float(evaluations_of(settings)[1])


def evaluations_of(settings: Mapping[str, Any]) -> tuple[int, int]:
    """The least and the most evaluations of the network in a clip of these settings, each over all
    tokens of one row of conditions. What is None or missing is the model's default.

    A step cache leaves out at best all but a stage's first steps and its last; what it has left out
    of a clip that is made, stands in its settings.

    Raises :class:`MlxvidError` for models that are not here.
    """
    card = card_of(settings.get("model") or DEFAULT_MODEL)
    defaults = card.defaults
    steps = settings.get("steps") or defaults.steps
    if settings.get("video"):
        steps -= first_step(steps, settings.get("strength", USUAL_STRENGTH))
    guidance = settings.get("guidance")
    true_guidance = settings.get("true_guidance")
    passes = card.passes(
        defaults.guidance if guidance is None else guidance,
        1.0 if true_guidance is None else true_guidance,
    )
    start = settings.get("guidance_start")
    stop = settings.get("guidance_stop")
    interval = (0.0 if start is None else start, 1.0 if stop is None else stop)
    rows = [passes if is_within(step, steps, interval) else 1 for step in range(steps)]
    skipped = SkippedLayers.of(settings)
    if skipped is not None:
        rows = [count + skipped.is_within(step, steps) for step, count in enumerate(rows)]
    cache = settings.get("cache") or "off"
    computed = rows
    if cache != "off" and steps >= LEAST_STEPS:
        computed = [*rows[: first_full(cache, steps)], rows[-1]]
    calls = evaluations(settings.get("sampler") or defaults.sampler)
    if settings.get(SKIPPED):
        skipped, of = settings[SKIPPED]
        made = round(calls * sum(rows) * (1 - skipped / of))
        return made, made
    return calls * sum(computed), calls * sum(rows)
