"""What Latte-1 makes when it is not told otherwise, and what clips it can make (arXiv:2401.03048
and the release's own scripts).
"""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.model.geometry import MAX_FRAMES, Defaults, Geometry, check_whole

CAPABILITIES = frozenset({"negative-prompt", "attention"})

# Components that stay in float32 where the rest is in half precision: an AutoencoderKL's values can
# pass float16's largest number.
FLOAT32 = frozenset({"vae", "vae_temporal_decoder"})


@dataclass(frozen=True)
class LatteGeometry(Geometry):
    """Of a model that has positions for `length` frames, and makes clips of as many or pictures of
    one, nothing else.
    """

    length: int = 16

    def round_frames(self, frames: int) -> tuple[int, str | None]:
        frames, n = check_whole("Frames", frames, MAX_FRAMES, "frames"), self.length
        if frames in (1, n):
            return frames, None
        return (
            n,
            f"{frames} frames are rounded to {n}: this model makes clips of {n} frames and pictures of 1.",
        )


def geometry(
    channels: int = 4, s_factor: int = 8, patch: int = 2, length: int = 16
) -> LatteGeometry:
    """A VAE for pictures, which leaves time as it is."""
    return LatteGeometry(1, s_factor, channels, (1, patch, patch), causal=False, length=length)


GEOMETRY = geometry()


def defaults(side: int = 512, length: int = 16, sampler: str = "ddim") -> Defaults:
    """Those of a model that was trained with square pictures of that side."""
    return Defaults(side, side, length, fps=8.0, steps=50, guidance=7.5, sampler=sampler)


DEFAULTS = defaults()
