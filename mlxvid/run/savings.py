"""What a run may leave out of its evaluations: when it may, and what is told of it afterwards."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlxvid.errors import SettingError
from mlxvid.model.caching import LEAST_STEPS
from mlxvid.model.card import Card

if TYPE_CHECKING:
    from mlxvid.model.shot import Shot

log = logging.getLogger("mlxvid")

SKIPPED = "skipped"
"""Among a clip's settings: the evaluations that were left out, and of how many."""


def check_cache(card: Card, more: Mapping[str, Any], steps: int) -> None:
    """Raise :class:`SettingError` for a step cache that a run of that many steps can't have."""
    kind = more.get("cache", "off")
    if kind == "off":
        if "cache_threshold" in more:
            log.warning("`cache_threshold` does nothing without a `cache`.")
        return
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


def skipped_facts(shot: Shot) -> dict[str, list[int]]:
    """What the step cache of a finished run left out, for its clip's settings; it is logged."""
    if shot.cache is None:
        return {}
    calls, skipped = shot.counted
    log.info("The step cache left out %d of %d evaluations of the network.", skipped, calls)
    return {SKIPPED: [skipped, calls]}
