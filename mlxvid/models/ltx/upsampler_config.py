"""Sizes of LTX-Video's latent upsamplers, read from their config.json."""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = 32


@dataclass(frozen=True)
class LTXUpsamplerConfig:
    """Keys and defaults of Diffusers' ``LTXLatentUpsamplerModel``.

    Raises ValueError for one that upsamples nothing, or frame by frame as no release does.
    """

    in_channels: int = 128
    mid_channels: int = 512
    num_blocks_per_stage: int = 4
    dims: int = 3
    spatial_upsample: bool = True
    temporal_upsample: bool = False

    def __post_init__(self):
        if self.dims != 3:
            raise ValueError(f"it upsamples in {self.dims} dimensions, and mlxvid knows 3")
        if not self.spatial_upsample and not self.temporal_upsample:
            raise ValueError("it upsamples neither in space nor in time")
        if self.mid_channels % GROUPS:
            raise ValueError(f"{self.mid_channels} mid_channels don't divide by {GROUPS}")

    @property
    def factors(self) -> tuple[int, int, int]:
        """Frames, rows and columns that one becomes."""
        space = 2 if self.spatial_upsample else 1
        return (2 if self.temporal_upsample else 1, space, space)
