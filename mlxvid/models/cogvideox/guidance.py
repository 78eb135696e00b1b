"""Guidance that changes with the steps."""

from __future__ import annotations

import math

from .card import OFF, SMOOTH


def scale_at(how: str, guidance: float, step: int, steps: int, timestep: int) -> float:
    """The guidance scale of a step.

    how: "off" is `guidance` itself. "released": as in the original release and in Diffusers, which
    count the training's timesteps, 999 to 0, against the number of steps, so that it goes up and
    down between 1 and 1 + `guidance`; its authors keep it, since it has the strength of a high
    guidance without overexposing (CogVideo#267). "smooth": steps are counted instead, so that it
    falls from 1 + `guidance` towards 1.
    """
    if how == OFF:
        return guidance
    done = step if how == SMOOTH else timestep
    wave = math.cos(math.pi * ((steps - done) / steps) ** 5.0)
    return 1 + guidance * (1 - wave) / 2
