"""Sizes of HunyuanVideo's clips."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.model.geometry import Geometry


@dataclass(frozen=True)
class HiddenFirst(Geometry):
    """Of models whose first latent frame is the picture: its four frames are left out of the clip.

    So 1 + 4k frames are 2 + k latent ones, of which the first stands for none.
    """

    def latent_frames(self, frames: int) -> int:
        return super().latent_frames(frames) + 1

    def pixel_frames(self, latent_frames: int) -> int:
        return max(0, super().pixel_frames(latent_frames - 1))
