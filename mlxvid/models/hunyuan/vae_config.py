"""Sizes of HunyuanVideo's VAE, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass, field

DOWN = "HunyuanVideoDownBlock3D"
UP = "HunyuanVideoUpBlock3D"


@dataclass(frozen=True)
class HunyuanVideoVAEConfig:
    """The VAE, with the defaults of Diffusers' AutoencoderKLHunyuanVideo (the releases').

    Raises ValueError for values that no checkpoint has.
    """

    in_channels: int = 3
    out_channels: int = 3
    latent_channels: int = 16
    down_block_types: list[str] = field(default_factory=lambda: [DOWN] * 4)
    up_block_types: list[str] = field(default_factory=lambda: [UP] * 4)
    block_out_channels: list[int] = field(default_factory=lambda: [128, 256, 512, 512])
    layers_per_block: int = 2
    act_fn: str = "silu"
    norm_num_groups: int = 32
    scaling_factor: float = 0.476986
    spatial_compression_ratio: int = 8
    temporal_compression_ratio: int = 4
    mid_block_add_attention: bool = True

    def __post_init__(self):
        if self.act_fn != "silu":
            raise ValueError(f"an act_fn of {self.act_fn!r}, not 'silu'")
        if (self.temporal_compression_ratio, self.spatial_compression_ratio) != (4, 8):
            raise ValueError(
                f"a temporal_compression_ratio of {self.temporal_compression_ratio} and a "
                f"spatial_compression_ratio of {self.spatial_compression_ratio}, not 4 and 8"
            )
        levels = len(self.block_out_channels)
        if levels != 4:
            raise ValueError(f"{levels} block_out_channels, not 4")
        for name, kind in (("down_block_types", DOWN), ("up_block_types", UP)):
            if getattr(self, name) != [kind] * levels:
                raise ValueError(f"{name} of {getattr(self, name)}, not four times {kind!r}")

    @property
    def t_factor(self) -> int:
        """Frames per latent frame, except the first, which is one frame."""
        return self.temporal_compression_ratio

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return self.spatial_compression_ratio
