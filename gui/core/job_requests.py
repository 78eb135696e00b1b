"""From a job's settings to the worker's requests, and what the settings say about the work in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlxvid.catalog import DEFAULT_MODEL
from mlxvid.errors import MlxvidError
from mlxvid.generate import LOADING, MAKING
from mlxvid.model.memory import Machine
from mlxvid.plan import Plan, Setting, plan

# Evaluations of the model a step.
_EVALUATIONS = {"heun": 2, "heun-discrete": 2, "kdpm2-ancestral": 2}


def loading_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What mlxvid.load is told: the model, and how its weights are to stand in memory."""
    return {"model": DEFAULT_MODEL} | {
        name: settings[name] for name in LOADING if settings.get(name) not in (None, [])
    }


def making_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What Pipeline.generate is told."""
    return {name: settings[name] for name in MAKING if settings.get(name) not in (None, "", {})}


def output_for(settings: dict[str, Any], folder: Path) -> Path:
    """A free name in `folder`, after the prompt and the seed."""
    words = re.sub(r"[^\w]+", "-", str(settings.get("prompt", "")).lower()).strip("-_")
    stem = f"{words[:48].rstrip('-_') or 'clip'}-{settings.get('seed', 0)}"
    names = (f"{stem}{f'-{n}' if n > 1 else ''}.mp4" for n in range(1, 10**6))
    return next(path for name in names if not (path := folder / name).exists())


def plan_of(settings: dict[str, Any], machine: Machine) -> Plan:
    """What a clip will cost; raises :class:`MlxvidError` for settings that no clip can have and for
    models not here.
    """
    wanted = ("frames", "width", "height", "fps", "guidance", "attention", "dtype", "quantize")
    known = {name: settings[name] for name in wanted if settings.get(name) is not None}
    return plan(settings.get("model") or DEFAULT_MODEL, machine=machine, **known)


def passes_of(settings: dict[str, Any]) -> float:
    """How often the model runs over all tokens."""
    guided = 1 if settings.get("guidance") == 1 else 2
    return float(settings.get("steps", 1) * guided * _EVALUATIONS.get(settings.get("sampler"), 1))


def lighter(settings: dict[str, Any], machine: Machine) -> str:
    """What to lower after memory ran out, as the end of a sentence, with numbers where the model is
    known.
    """
    try:
        asked = plan_of(settings, machine)
        # Two thirds of what it should have taken: the estimate said that it fits, and was wrong.
        smaller = Machine(
            machine.name,
            machine.total,
            min(machine.usable, asked.peak_bytes) * 2 // 3,
            machine.metal,
        )
        choices = plan_of(settings, smaller).alternatives
    except MlxvidError:
        choices = ()
    if not choices:
        return "make the clip smaller or shorter, or close other programs"
    return f"try {' or '.join(setting_text(choice) for choice in choices[:2])}, or close other programs"


def setting_text(setting: Setting) -> str:
    """Settings that would fit, for a sentence or a button."""
    bits = f", {setting.quantize}-bit weights" if setting.quantize else ""
    return f"{setting.frames} frames at {setting.width}×{setting.height}{bits}"
