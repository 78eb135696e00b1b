"""Which passes through the network a run makes in its steps, counted without making it. No MLX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .interval import is_within
from .samplers import FLOW
from .skipped_layers import SkippedLayers
from .strength import USUAL_STRENGTH, first_step

# What steers a pass.
NEGATIVE = "negative"
PROMPT = "prompt"
# The prompt's pass without some of the network's blocks.
WITHOUT_LAYERS = "without layers"

# The share of the steps whose velocity is 0 with CFG-Zero*, as in its paper.
ZERO_SHARE = 0.04


@dataclass(frozen=True)
class Counted:
    """A stage of a run.

    steps: of each step that is made, the passes by what steers them; none where the network isn't
    called. share: of the operations of a pass over the whole clip, those of one of its passes.
    """

    steps: tuple[tuple[str, ...], ...]
    share: float = 1.0


def passes_in(
    number: int,
    steps: int,
    passes: Sequence[str],
    interval: tuple[float, float],
    skipped: SkippedLayers | None,
    stands_still: bool,
) -> tuple[str, ...]:
    """The passes of step `number` of so many, in order.

    passes: with guidance. interval: of the shares of the steps in which it pulls. stands_still:
    whether the first steps do without the network.
    """
    if stands_still and number < int(ZERO_SHARE * steps):
        return ()
    names = tuple(passes) if is_within(number, steps, interval) else (PROMPT,)
    if skipped is not None and skipped.is_within(number, steps):
        return (*names, WITHOUT_LAYERS)
    return names


def first_of(card: Any, given: Mapping[str, Any]) -> int:
    """The step that a run of these settings begins with."""
    video = given.get("video")
    if video is None or (isinstance(video, str) and not video):
        return 0
    steps = given.get("steps", card.defaults.steps)
    return first_step(steps, given.get("strength", USUAL_STRENGTH))


def interval_of(given: Mapping[str, Any]) -> tuple[float, float]:
    """The shares of the steps from which on and up to which guidance pulls."""
    return given.get("guidance_start", 0.0), given.get("guidance_stop", 1.0)


def usual_steps(card: Any, given: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The passes of each step of a run in one stage, of a model that is guided as others are.

    card: its :class:`Card`. given: settings; what is missing is the model's default.
    """
    defaults = card.defaults
    steps = given.get("steps", defaults.steps) - first_of(card, given)
    guidance = given.get("guidance", defaults.guidance)
    is_guided = card.passes(guidance, given.get("true_guidance", 1.0)) > 1
    passes = (NEGATIVE, PROMPT) if is_guided else (PROMPT,)
    is_flow = given.get("sampler", defaults.sampler) in FLOW
    stands_still = is_guided and is_flow and given.get("guidance_method") == "cfg-zero"
    interval = interval_of(given)
    skipped = SkippedLayers.of(given)
    return tuple(
        passes_in(number, steps, passes, interval, skipped, stands_still) for number in range(steps)
    )
