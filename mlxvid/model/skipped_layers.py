"""Skipped-layer guidance: away from what the network makes without some of its blocks. No MLX here.

After Stability AI's for Stable Diffusion 3.5, with its scale and range.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlxvid.errors import SettingError, shown


@dataclass(frozen=True)
class SkippedLayers:
    """Which blocks are left out, how strongly that steers, and in which share of the steps."""

    layers: frozenset[int]
    scale: float = 2.8
    start: float = 0.01
    stop: float = 0.2

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> SkippedLayers | None:
        """Those of a clip's settings; None where none are asked for.

        Raises :class:`SettingError` for what names no blocks.
        """
        text = settings.get("skip_layers")
        if text is None:
            return None
        known = {name: settings.get(f"skip_{name}") for name in ("scale", "start", "stop")}
        given = {name: value for name, value in known.items() if value is not None}
        return cls(_layers(text), **given)

    def is_within(self, number: int, steps: int) -> bool:
        """Whether it steers in step `number` of so many, as Diffusers' guider counts them."""
        return int(self.start * steps) < number < int(self.stop * steps)


def _layers(text: str) -> frozenset[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,4}", part) for part in parts):
        raise SettingError(
            f"`skip_layers` are numbers of blocks, counted from 0, such as 9 or 7,8; not "
            f"{shown(text)}."
        )
    return frozenset(int(part) for part in parts)
