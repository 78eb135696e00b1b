"""How much of a clip is kept where another is made from it: the steps that are left out."""

from __future__ import annotations

USUAL_STRENGTH = 0.8
"""How far a clip is made anew where nothing else is asked for, as Diffusers' pipelines have it."""


def first_step(steps: int, strength: float) -> int:
    """The step that a clip made from another begins with, noised to its level.

    Of `steps` the last int(steps * strength) are made, as Diffusers' pipelines count them.
    """
    return steps - min(int(steps * strength), steps)
