"""From a job's settings to the worker's requests, and to what the job will cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mlxvid.catalog import DEFAULT_MODEL, card_of
from mlxvid.errors import MlxvidError
from mlxvid.media.prompt_names import named_after
from mlxvid.model.evaluations import evaluations_of
from mlxvid.model.machine import Machine
from mlxvid.model.settings import loading, making
from mlxvid.model.strength import USUAL_STRENGTH, first_step
from mlxvid.run.planning import Alternative, Plan, plan

# The share of a machine's memory from which on a clip is likely to have run out of it.
TIGHT = 0.75


def loading_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What mlxvid.load takes: the model, and how its weights are held in memory."""
    given = {name: settings[name] for name in loading() if settings.get(name) not in (None, [])}
    return {"model": DEFAULT_MODEL} | given


def making_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What Pipeline.generate takes."""
    return {name: settings[name] for name in making() if settings.get(name) not in (None, "", {})}


def output_for(settings: dict[str, Any], folder: Path) -> Path:
    """A path in `folder` that is free, after the prompt and the seed."""
    stem = f"{named_after(str(settings.get('prompt', '')))}-{settings.get('seed', 0)}"
    path = folder / f"{stem}.mp4"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.mp4"
    return path


def plan_of(settings: dict[str, Any], machine: Machine) -> Plan:
    """What a clip will cost.

    Raises :class:`MlxvidError` for settings that no clip can have, and for models not here.
    """
    wanted = (
        *("frames", "width", "height", "fps", "guidance", "attention", "dtype", "quantize"),
        *("cache", "options"),
    )
    known = {name: settings[name] for name in wanted if settings.get(name) is not None}
    from_clip = bool(settings.get("video"))
    follows = bool(settings.get("control"))
    name = settings.get("model") or DEFAULT_MODEL
    return plan(name, machine=machine, from_clip=from_clip, follows=follows, **known)


def passes_of(settings: dict[str, Any]) -> float:
    """Evaluations of the network in a clip, each over all tokens of one row of conditions.

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
    sampler = settings.get("sampler") or defaults.sampler
    # At most: nobody knows what a step cache will leave out.
    return float(evaluations_of(steps, passes, sampler)[1])


def is_tight(settings: dict[str, Any], machine: Machine) -> bool:
    """Whether a clip takes nearly all the memory that the machine can give."""
    try:
        return plan_of(settings, machine).peak_bytes >= TIGHT * machine.usable
    except MlxvidError:
        return False


def lighter(settings: dict[str, Any], machine: Machine) -> str:
    """What to lower after memory ran out, as the end of a sentence."""
    try:
        asked = plan_of(settings, machine)
        # Two thirds of what it should have taken: the estimate said that it fits, and was wrong.
        usable = min(machine.usable, asked.peak_bytes) * 2 // 3
        smaller = replace(machine, usable=usable)
        choices = plan_of(settings, smaller).alternatives
    except MlxvidError:
        choices = ()
    if not choices:
        return "make the clip smaller or shorter, or close other programs"
    fitting = " or ".join(alternative_text(choice) for choice in choices[:2])
    return f"try {fitting}, or close other programs"


def alternative_text(choice: Alternative) -> str:
    """Settings that would fit, for a sentence or a button."""
    bits = f", {choice.quantize}-bit weights" if choice.quantize else ""
    return f"{choice.frames} frames at {choice.width}×{choice.height}{bits}"
