"""Where frames of LTX-Video's clips stand, and how many are made at once."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.model.geometry import Geometry

# The longest clip that is made at once: the release advises no more.
LONGEST = 257
# Frames of a window of a longer one, and of those the ones that it shares with the window before.
WINDOW = 80
OVERLAP = 24


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
        if frames <= LONGEST:
            return frames
        # The window before has its last frames in front of a window's own.
        return self.pixel_frames((WINDOW + OVERLAP) // self.t_factor)

    @property
    def shared(self) -> int:
        """Latent frames that a window has in common with the one before."""
        return OVERLAP // self.t_factor

    def windows(self, latent_frames: int) -> list[range]:
        """The latent frames of each window of a long clip."""
        size = WINDOW // self.t_factor
        starts = range(0, max(latent_frames - self.shared, 1), size - self.shared)
        return [range(start, min(start + size, latent_frames)) for start in starts]
