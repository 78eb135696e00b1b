"""From a job's settings to the worker's requests, and to what the job will cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlxvid.catalog import DEFAULT_MODEL
from mlxvid.errors import MlxvidError
from mlxvid.model.machine import Machine
from mlxvid.model.settings import loading, making
from mlxvid.run.evaluations import passes_of
from mlxvid.run.planning import Alternative, Plan, plan

from .jobs import Job

# The share of a machine's memory from which on a clip is likely to have run out of it.
TIGHT = 0.75


def loading_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What mlxvid.load takes: the model, and how its weights are held in memory."""
    given = {name: settings[name] for name in loading() if settings.get(name) not in (None, [])}
    return {"model": DEFAULT_MODEL} | given


def making_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What Pipeline.generate takes."""
    return {name: settings[name] for name in making() if settings.get(name) not in (None, "", {})}


def options_of(job: Job) -> dict[str, Any]:
    """What a generate request says of a job besides its settings."""
    options: dict[str, Any] = {}
    if job.resume:
        options["resume"] = True
    if job.settings.get("force"):
        options["force"] = True
    if job.settings.get("digests"):  # of a clip that is made again
        options["digests"] = job.settings["digests"]
    return options


def plan_of(settings: dict[str, Any], machine: Machine) -> Plan:
    """What a clip will cost.

    Raises :class:`MlxvidError` for settings that no clip can have, and for models not here.
    """
    wanted = (
        *("frames", "width", "height", "fps", "guidance", "true_guidance", "skip_layers"),
        *("attention", "dtype", "quantize", "cache", "options", "loras"),
    )
    known = {name: settings[name] for name in wanted if settings.get(name) is not None}
    from_clip = bool(settings.get("video"))
    follows = bool(settings.get("control"))
    name = settings.get("model") or DEFAULT_MODEL
    return plan(name, machine=machine, from_clip=from_clip, follows=follows, **known)


def work_of(settings: dict[str, Any], machine: Machine) -> tuple[int, float] | None:
    """A clip's tokens, and the passes over them; None for models that are not here."""
    try:
        return plan_of(settings, machine).tokens, passes_of(settings)
    except MlxvidError:
        return None


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
