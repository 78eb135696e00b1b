"""Sizes of Open-Sora 1.2's VAE.

The released config.json names the classes and no sizes: those are the defaults here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlxvid.layers.autoencoder_kl_config import AutoencoderKLConfig, check_channels, check_sizes


@dataclass(frozen=True)
class OpenSoraVAEConfig:
    """The image VAE, with Diffusers' names, and the temporal VAE, with those of VAE_Temporal.

    micro_frame_size: frames that go through the temporal VAE together. spatial_scaling: of the
    latents between the two, 0.18215 in the reference whatever the image VAE's own config says.
    Raises ValueError for sizes that can't be built.
    """

    micro_frame_size: int = 17
    spatial_scaling: float = 0.18215

    in_channels: int = 3
    out_channels: int = 3
    block_out_channels: list[int] = field(default_factory=lambda: [128, 256, 512, 512])
    layers_per_block: int = 2
    norm_num_groups: int = 32

    in_out_channels: int = 4  # of the latents between the two
    latent_embed_dim: int = 4
    embed_dim: int = 4  # of the latents that the transformer works on
    filters: int = 128
    num_res_blocks: int = 4
    channel_multipliers: list[int] = field(default_factory=lambda: [1, 2, 2, 4])
    temporal_downsample: list[bool] = field(default_factory=lambda: [False, True, True])
    num_groups: int = 32

    def __post_init__(self):
        check_sizes(
            self,
            "micro_frame_size",
            "in_out_channels",
            "latent_embed_dim",
            "embed_dim",
            "filters",
            "num_res_blocks",
            "num_groups",
        )
        check_channels("filters times channel_multipliers", self.widths, self.num_groups)
        downsample = self.temporal_downsample
        are_booleans = all(isinstance(down, bool) for down in downsample)
        if not are_booleans or len(downsample) != len(self.channel_multipliers) - 1:
            raise ValueError(
                f"temporal_downsample {downsample!r}, which must be true or false "
                "for each of channel_multipliers but the last"
            )
        self.spatial  # noqa: B018  raises for sizes that an image VAE can't have

    @property
    def spatial(self) -> AutoencoderKLConfig:
        """The image VAE's config."""
        return AutoencoderKLConfig(
            self.in_channels,
            self.out_channels,
            self.in_out_channels,
            self.block_out_channels,
            self.layers_per_block,
            self.norm_num_groups,
            scaling_factor=self.spatial_scaling,
        )

    @property
    def widths(self) -> list[int]:
        """Channels of the temporal VAE's levels."""
        return [self.filters * multiplier for multiplier in self.channel_multipliers]

    @property
    def t_factor(self) -> int:
        """Frames per latent frame."""
        return 2 ** sum(self.temporal_downsample)

    def latent_frames(self, frames: int) -> int:
        """The number of latent frames of a clip of `frames`; each chunk's are rounded up."""
        whole, rest = divmod(frames, self.micro_frame_size)
        return whole * -(-self.micro_frame_size // self.t_factor) + -(-rest // self.t_factor)
