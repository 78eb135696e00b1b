"""Sizes of CogVideoX's video VAE, read from its config.json."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mlxvid.layers.autoencoder_kl_config import check_channels, check_sizes


@dataclass(frozen=True)
class CogVideoXVAEConfig:
    """Keys and defaults of Diffusers' ``AutoencoderKLCogVideoX``.

    Level i has `block_out_channels[i]` channels and half the width and height of the one before it,
    and half the frames as long as `temporal_compression_ratio` asks for. sample_height,
    sample_width: twice the sides of a tile, in pixels. invert_scale_latents: the transformer was
    trained with given pictures at another scale. Raises ValueError for a VAE of another structure,
    and for sizes that can't be built.
    """

    in_channels: int = 3
    out_channels: int = 3
    block_out_channels: list[int] = field(default_factory=lambda: [128, 256, 256, 512])
    latent_channels: int = 16
    layers_per_block: int = 3
    act_fn: str = "silu"
    norm_eps: float = 1e-6
    norm_num_groups: int = 32
    temporal_compression_ratio: float = 4
    sample_height: int = 480
    sample_width: int = 720
    scaling_factor: float = 1.15258426
    use_quant_conv: bool = False
    use_post_quant_conv: bool = False
    invert_scale_latents: bool = False

    def __post_init__(self):
        check_sizes(
            self,
            "in_channels",
            "out_channels",
            "latent_channels",
            "layers_per_block",
            "norm_num_groups",
            "sample_height",
            "sample_width",
        )
        check_channels("block_out_channels", self.block_out_channels, self.norm_num_groups)
        if self.temporal_compression_ratio not in [2**k for k in range(len(self.widths))]:
            raise ValueError(
                f"temporal_compression_ratio {self.temporal_compression_ratio}, which must be a "
                f"power of two that {len(self.widths)} levels can reach"
            )
        if self.act_fn not in ("silu", "swish") or self.norm_eps != 1e-6:
            raise ValueError(
                f"act_fn {self.act_fn!r} and norm_eps {self.norm_eps}, which must be silu and 1e-6"
            )
        if self.use_quant_conv or self.use_post_quant_conv:
            raise ValueError("its VAE has a quant_conv, which no release of CogVideoX has")
        if not 0 < self.scaling_factor < math.inf:
            raise ValueError(f"scaling_factor {self.scaling_factor}, which must be above 0")
        if min(self.tile) < 2:
            raise ValueError(
                f"sample_height {self.sample_height} and sample_width {self.sample_width}, "
                "whose tiles would have less than two latent positions on a side"
            )

    @property
    def widths(self) -> list[int]:
        """Channels by level, from the pixels to the latents."""
        return self.block_out_channels

    @property
    def t_factor(self) -> int:
        """Frames per latent frame, except the first, which is one frame."""
        return int(self.temporal_compression_ratio)

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return 2 ** (len(self.widths) - 1)

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of the reference's tiles in latent positions."""
        return self.sample_height // 2 // self.s_factor, self.sample_width // 2 // self.s_factor

    @property
    def picture_scale(self) -> float:
        """What the latents of a given picture are scaled by, where others are by `scaling_factor`.

        The reference divides by that for CogVideoX 1.5, which was trained so by mistake.
        """
        return 1 / self.scaling_factor if self.invert_scale_latents else self.scaling_factor
