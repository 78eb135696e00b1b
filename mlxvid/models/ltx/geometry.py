"""Where frames of LTX-Video's clips stand, and how many are made at once."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.model.geometry import Geometry

from . import windows


@dataclass(frozen=True)
class LTXGeometry(Geometry):
    """Pictures stand at any frame, clips at every eighth; long clips are made in windows."""

    def place(self, frame: int, count: int, frames: int) -> tuple[int, int]:
        if count == 1:
            return frame, 1
        at = min(round(frame / self.t_factor) * self.t_factor, frames - 1)
        if at > 0 and frames - at <= self.t_factor:
            # A later clip has two latent frames at least.
            at = max(0, (frames - 1) // self.t_factor - 1) * self.t_factor
        whole = (min(count, frames - at) - 1) // self.t_factor * self.t_factor + 1
        return at, whole

    def at_once(self, frames: int, width: int, height: int) -> int:
        if frames <= windows.LONGEST:
            return frames
        together = (windows.WINDOW + windows.OVERLAP) // self.t_factor
        return self.pixel_frames(together)
