"""The stages of a run of LTX-Video as plans count them: guidance changes with the time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlxvid.model.interval import is_within
from mlxvid.model.passes import Counted, first_of, interval_of

from .recipes import Pass
from .schedules import sigmas_of
from .texts import in_windows


def stages(card: Any, given: Mapping[str, Any]) -> Sequence[Counted]:
    """Of each pass of the recipe, or of each window of a long clip. card: an LTX card."""
    usual = card.defaults
    sizes = [given.get(name, getattr(usual, name)) for name in ("frames", "width", "height")]
    frames, width, height, _ = card.geometry.round(*sizes)
    prompt = given.get("prompt", "")
    options, _ = card.settled({**card.options, **given.get("options", {})}, frames, prompt)
    runs = card.recipe.runs(
        bool(options["upscale"]),
        given.get("steps", usual.steps),
        given.get("guidance", usual.guidance),
        float(options["stg"]),
        float(options["rescale"]),
    )
    first = min(first_of(card, given), runs[0].evaluations - 1)
    counting = _Counting(card, interval_of(given))
    if in_windows(frames, prompt):
        return counting.windows(runs[0], frames, (width, height), first)
    wide, high = card.worked_size(width, height, options)
    if len(runs) == 1:
        return [Counted(counting.steps(runs[0], frames, (wide, high), first))]
    share = counting.share_of_half(frames, (wide, high), options)
    return [
        Counted(counting.steps(runs[0], frames, (wide // 2, high // 2), first), share),
        Counted(counting.steps(runs[1], frames, (wide, high), 0)),
    ]


class _Counting:
    """What a run's stages are counted with. interval: in which guidance pulls."""

    def __init__(self, card: Any, interval: tuple[float, float]):
        self.card = card
        self.geometry = card.geometry
        self.interval = interval

    def windows(self, run: Pass, frames: int, size: tuple[int, int], first: int) -> list[Counted]:
        """Each window of a long clip, with the end of the one before in front of it."""
        latent_frames = self.geometry.latent_frames(frames)
        counted = []
        for number, window in enumerate(self.geometry.windows(latent_frames)):
            own = self.geometry.pixel_frames(len(window))
            seen = len(window) + (self.geometry.shared if number else 0)
            counted.append(Counted(self.steps(run, own, size, first), seen / latent_frames))
        return counted

    def steps(
        self, run: Pass, frames: int, size: tuple[int, int], first: int
    ) -> tuple[tuple[str, ...], ...]:
        """The passes of each step of a pass at a size, from its step `first` on."""
        tokens = math.prod(self.geometry.token_grid(frames, *size))
        times = sigmas_of(run, self.card.recipe.schedule, tokens)[first:-1]
        return tuple(self._passes(run, times.tolist()))

    def _passes(self, run: Pass, times: Sequence[float]) -> Iterator[tuple[str, ...]]:
        for number, time in enumerate(times):
            is_guided = is_within(number, len(times), self.interval)
            yield run.guidance.at(time).passes(is_guided)

    def share_of_half(
        self, frames: int, size: tuple[int, int], options: Mapping[str, Any]
    ) -> float:
        """The operations of the first of two passes, as a share of those of the second."""
        small = math.prod(self.geometry.token_grid(frames, size[0] // 2, size[1] // 2))
        large = math.prod(self.geometry.token_grid(frames, *size))
        tile = math.prod(self.geometry.token_grid(*self.card.together(frames, *size, options)))
        return small * self._each(small) / (large * self._each(tile))

    def _each(self, attended: int) -> float:
        """Operations of a token in a block where it attends to so many."""
        width = self.card.width
        layers = 2 * (8 * width**2 + 2 * width * self.card.inner_width)
        return float(layers + 4 * width * attended)
