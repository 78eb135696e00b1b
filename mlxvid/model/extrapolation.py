"""Clips longer than the training's, and the rotary frequency that makes them repeat (RIFLEx,
arXiv:2502.15894). No MLX here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .geometry import Geometry


@dataclass(frozen=True)
class Extrapolation:
    """What makes long clips of a model repeat, lengths in latent frames.

    index: of the temporal rotary frequency, counted from 1. period: its period; up to it nothing
    repeats. longest: twice the training's length, beyond which nobody has made good clips.
    """

    index: int
    period: int
    longest: int

    def lowered(self, latent_frames: int) -> tuple[int, int] | None:
        """The frequency to lower, and the length for which; None for clips that don't repeat."""
        return (self.index, latent_frames) if latent_frames > self.period else None

    def notes(self, frames: int, geometry: Geometry, asked: bool | None) -> Iterator[str]:
        """A line for each thing to be said of a clip. asked: None where nothing was."""
        once = geometry.pixel_frames(self.period)
        longest = geometry.pixel_frames(self.longest)
        if frames > once and asked is None:
            yield (
                f"Clips of more than {once} frames repeat themselves; `length_extrapolation` makes "
                "them go on."
            )
        if frames <= once and asked:
            yield (
                f"`length_extrapolation` changes nothing here: clips of up to {once} frames don't "
                "repeat themselves."
            )
        if frames > longest:
            yield (
                f"Clips of more than {longest} frames, twice the training's, are not known to "
                "become good; make shorter ones."
            )
