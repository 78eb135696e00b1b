"""A card with a release's recipe, and what of a card follows from the recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlxvid.model.card import Card
from mlxvid.model.geometry import Defaults
from mlxvid.model.passes import Counted

from . import counted
from .geometry import LONGEST
from .options import CONDITIONED, TAKES, WITH_TIMES
from .recipes import NEGATIVE_PROMPT, Recipe, work_size
from .texts import in_windows
from .tiles import largest_tile


@dataclass(frozen=True, kw_only=True)
class LTXCard(Card):
    """A card with the release's recipe."""

    recipe: Recipe

    def offers(self, name: str) -> bool:
        """As the base class; two passes only of a release that was made for them."""
        return super().offers(name) and (name != "upscale" or self.recipe.second is not None)

    def settled(
        self, options: Mapping[str, Any], frames: int, prompt: str
    ) -> tuple[Mapping[str, Any], str | None]:
        """Of a clip that is made in windows, without a second pass."""
        if not options.get("upscale") or not in_windows(frames, prompt):
            return options, None
        note = (
            f"A clip of more than {LONGEST} frames, or with several texts, is made in windows: in "
            "one pass at the whole size, without `upscale`."
        )
        return {**options, "upscale": False}, note

    def worked_size(self, width: int, height: int, options: Mapping[str, Any]) -> tuple[int, int]:
        """Of two passes the second one's: twice the first's."""
        if not options.get("upscale"):
            return width, height
        wide, high = work_size(width, height, self.geometry.s_factor)
        return 2 * wide, 2 * high

    def together(
        self, frames: int, width: int, height: int, options: Mapping[str, Any]
    ) -> tuple[int, int, int]:
        """Of two passes a tile of the second one, or the first one."""
        frames = self.geometry.at_once(frames, width, height)
        if not options.get("upscale"):
            return frames, width, height
        side = self.geometry.s_factor
        high, wide = largest_tile(height // side, width // side)
        first = (width // 2, height // 2)
        return frames, *max((wide * side, high * side), first, key=math.prod)

    def counted(self, given: Mapping[str, Any]) -> Sequence[Counted]:
        """Of each pass of the recipe, or of each window of a long clip."""
        return counted.stages(self, given)


def samplers_of(recipe: Recipe) -> tuple[str, ...]:
    """Those of a release, the usual one first."""
    return ("euler-stochastic", "euler") if recipe.stochastic else ("euler",)


def defaults_of(recipe: Recipe) -> Defaults:
    """The usual clip, in one pass."""
    return Defaults(
        recipe.width,
        recipe.height,
        frames=recipe.frames,
        fps=recipe.fps,
        steps=recipe.alone.steps,
        guidance=float(recipe.alone.guidance.scale),
        negative_prompt=NEGATIVE_PROMPT,
        sampler=samplers_of(recipe)[0],
    )


def takes_of(recipe: Recipe) -> frozenset[str]:
    """The settings that a release takes besides those of every model."""
    takes = TAKES if recipe.decode_time is None else TAKES | WITH_TIMES
    return takes | CONDITIONED if recipe.generation == "C" else takes


def options_of(recipe: Recipe, upscales: bool) -> dict[str, float | str | bool]:
    """The recipe's values of the family's options. upscales: whether there is an upsampler."""
    guidance = recipe.alone.guidance
    two = upscales and recipe.second is not None
    options: dict[str, float | str | bool] = {
        "stg": float(guidance.stg),
        "rescale": float(guidance.rescale),
        "upscale": two,
        "prepare": True,
    }
    if recipe.decode_time is not None and recipe.decode_noise is not None:
        options["decode_timestep"] = recipe.decode_time
        options["decode_noise"] = recipe.decode_noise
    if recipe.generation == "C":
        options["image_noise"] = recipe.image_noise
    return options
