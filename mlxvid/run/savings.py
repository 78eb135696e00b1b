"""What a run may leave out of its evaluations: when it may, and what is told of it afterwards."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlxvid import models
from mlxvid.errors import SettingError
from mlxvid.model.caching import LEAST_STEPS
from mlxvid.model.card import Card
from mlxvid.model.skipped_layers import SkippedLayers

if TYPE_CHECKING:
    from mlxvid.model.shot import Shot

log = logging.getLogger("mlxvid")

GUIDANCE = ("guidance_start", "guidance_stop", "guidance_method")

SKIPPED = "skipped"
"""Among a clip's settings: the evaluations that were left out, and of how many."""


def check_cache(card: Card, more: Mapping[str, Any], steps: int) -> None:
    """Raise :class:`SettingError` for a step cache that a run of that many steps can't have."""
    kind = more.get("cache", "off")
    if kind == "off":
        if "cache_threshold" in more:
            log.warning("`cache_threshold` does nothing without a `cache`.")
        return
    if kind == "tea" and card.tea is None:
        others = ", ".join(other.name for other in models.cards() if other.tea is not None)
        raise SettingError(
            "There are no constants of this model for the `cache` tea: take easy, or one of the "
            f"models that have some: {others}."
        )
    if card.defaults.steps < LEAST_STEPS:
        raise SettingError(
            f"This model was made for {card.defaults.steps} steps, none of which can be left out; "
            "leave out `cache`."
        )
    if steps < LEAST_STEPS:
        raise SettingError(
            f"A step `cache` has nothing to leave out of {steps} steps: give {LEAST_STEPS} `steps` "
            "or more, or no `cache`."
        )


def check_guidance(more: Mapping[str, Any], passes: int) -> None:
    """Raise :class:`SettingError` for guidance in none of the steps, and say where its settings do
    nothing. passes: rows of conditions with guidance.
    """
    start = more.get("guidance_start", 0.0)
    stop = more.get("guidance_stop", 1.0)
    if start >= stop:
        raise SettingError(
            f"Guidance from {start:g} of the steps until {stop:g} would pull in none of them: give "
            "a `guidance_stop` above `guidance_start`, or a `guidance` of 1."
        )
    given = [name for name in GUIDANCE if name in more]
    if given and passes == 1:
        names = " and ".join(f"`{name}`" for name in given)
        log.warning("Without guidance %s %s nothing.", names, "do" if len(given) > 1 else "does")


def check_skipped_layers(card: Card, more: Mapping[str, Any]) -> None:
    """Raise :class:`SettingError` for blocks that a model doesn't have, or all that it has."""
    skipped = SkippedLayers.of(more)
    if skipped is None:
        given = [name for name in more if name.startswith("skip_")]
        if given:
            log.warning("`%s` does nothing without `skip_layers`.", given[0])
        return
    if skipped.start >= skipped.stop:
        raise SettingError(
            f"Skipped blocks from {skipped.start:g} of the steps until {skipped.stop:g} would "
            "steer in none of them: give a `skip_stop` above `skip_start`, or no `skip_layers`."
        )
    if max(skipped.layers) >= card.blocks or len(skipped.layers) == card.blocks:
        raise SettingError(
            f"This model has {card.blocks} blocks, numbered from 0 to {card.blocks - 1}: name some "
            "of these as `skip_layers`, and not all."
        )


def skipped_facts(shot: Shot) -> dict[str, list[int]]:
    """What the step cache of a finished run left out, for its clip's settings; it is logged."""
    if shot.cache is None:
        return {}
    calls, skipped = shot.counted
    log.info("The step cache left out %d of %d evaluations of the network.", skipped, calls)
    return {SKIPPED: [skipped, calls]}
