"""Sizes of LTX-Video's VAEs, read from their config.json."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Generation = Literal["A", "B", "C"]

# What the blocks of the encoder are called in the first two generations, and in the third.
PLAIN = "LTXVideoDownBlock3D"
RESIDUAL = "LTXVideo095DownBlock3D"
# Frames, rows and columns that become one, by the reference's names.
STRIDES = {"spatial": (1, 2, 2), "temporal": (2, 1, 1), "spatiotemporal": (2, 2, 2)}


class DownLevel(NamedTuple):
    """A level of the encoder. stride: frames, rows and columns that become one, None for none."""

    in_channels: int
    out_channels: int
    layers: int
    stride: tuple[int, int, int] | None


class UpLevel(NamedTuple):
    """A level of the decoder. doubled: whether it is upsampled, with the upsampling's `residual`
    and `factor`. in_channels: before the upsampling, over the factor.
    """

    in_channels: int
    out_channels: int
    layers: int
    doubled: bool
    noisy: bool
    residual: bool
    factor: int


@dataclass(frozen=True)
class LTXVAEConfig:
    """Keys and defaults of Diffusers' ``AutoencoderKLLTXVideo``.

    There are three generations: A of 0.9.0, B of 0.9.1, whose decoder is told a time and adds
    noise, and C of 0.9.5 and later, with another encoder. All lists begin at the pixels, the
    decoder's too, although it runs the other way; where they have an entry more than there are
    levels, it is the middle's. Raises ValueError for a VAE of another structure, and for lists
    whose lengths disagree.
    """

    in_channels: int = 3
    out_channels: int = 3
    latent_channels: int = 128
    block_out_channels: list[int] = field(default_factory=lambda: [128, 256, 512, 512])
    down_block_types: list[str] = field(default_factory=lambda: [PLAIN] * 4)
    decoder_block_out_channels: list[int] = field(default_factory=lambda: [128, 256, 512, 512])
    layers_per_block: list[int] = field(default_factory=lambda: [4, 3, 3, 3, 4])
    decoder_layers_per_block: list[int] = field(default_factory=lambda: [4, 3, 3, 3, 4])
    spatio_temporal_scaling: list[bool] = field(default_factory=lambda: [True, True, True, False])
    decoder_spatio_temporal_scaling: list[bool] = field(
        default_factory=lambda: [True, True, True, False]
    )
    decoder_inject_noise: list[bool] = field(default_factory=lambda: [False] * 5)
    downsample_type: list[str] = field(default_factory=lambda: ["conv"] * 4)
    upsample_residual: list[bool] = field(default_factory=lambda: [False] * 4)
    upsample_factor: list[int] = field(default_factory=lambda: [1] * 4)
    timestep_conditioning: bool = False
    patch_size: int = 4
    patch_size_t: int = 1
    resnet_norm_eps: float = 1e-6
    scaling_factor: float = 1.0
    encoder_causal: bool = True
    decoder_causal: bool = False

    def __post_init__(self):
        if self.patch_size_t != 1 or self.scaling_factor != 1:
            raise ValueError("its VAE has patches in time or scales latents, as none of LTX-Video")
        if not self.encoder_causal or self.decoder_causal:
            raise ValueError(
                "its encoder sees future frames, or its decoder doesn't; LTX-Video's are the other "
                "way round"
            )
        self._check_encoder()
        self._check_decoder()

    def _check_encoder(self) -> None:
        levels = len(self.spatio_temporal_scaling)
        blocks = self.down_block_types[:levels]
        if len(blocks) < levels or len(set(blocks)) != 1 or blocks[0] not in (PLAIN, RESIDUAL):
            raise ValueError(f"down_block_types {self.down_block_types} for {levels} levels")
        widths = levels + 1 if self.is_residual else levels
        if len(self.block_out_channels) != widths or len(self.layers_per_block) != levels + 1:
            raise ValueError(
                f"{len(self.block_out_channels)} block_out_channels and "
                f"{len(self.layers_per_block)} layers_per_block for {levels} levels"
            )
        if not self.is_residual:
            return
        types = self.downsample_type[:levels]
        if len(types) < levels or not set(types) <= STRIDES.keys():
            raise ValueError(f"downsample_type {self.downsample_type} for {levels} levels")
        if not all(self.spatio_temporal_scaling):
            raise ValueError("its VAE has a level of the third generation without downsampling")

    def _check_decoder(self) -> None:
        levels = len(self.decoder_block_out_channels)
        lengths = {
            "decoder_layers_per_block": levels + 1,
            "decoder_spatio_temporal_scaling": levels,
            "decoder_inject_noise": levels + 1,
            "upsample_residual": levels,
            "upsample_factor": levels,
        }
        for name, length in lengths.items():
            count = len(getattr(self, name))
            if count != length:
                raise ValueError(f"{count} {name} where {levels} levels need {length}")
        for level in self.up_levels:
            plain = level.in_channels == level.out_channels
            if not plain and (level.noisy or self.timestep_conditioning):
                raise ValueError("its decoder changes its width where it is told a time or noise")
        if (self.s_factor, self.t_factor) != self._decoded:
            raise ValueError("its decoder makes pictures of another size than its encoder takes")

    @property
    def is_residual(self) -> bool:
        """Whether the encoder is the third generation's."""
        return self.down_block_types[0] == RESIDUAL

    @property
    def generation(self) -> Generation:
        """A of 0.9.0, B of 0.9.1, C of 0.9.5 and later."""
        if self.is_residual:
            return "C"
        return "B" if self.timestep_conditioning else "A"

    @property
    def down_levels(self) -> list[DownLevel]:
        """The encoder's levels, from the pixels to the coarsest."""
        levels = len(self.spatio_temporal_scaling)
        outs = [*self.block_out_channels[1:], self.block_out_channels[-1]][:levels]
        strides: list[tuple[int, int, int] | None] = []
        for level, scaled in enumerate(self.spatio_temporal_scaling):
            kind = self.downsample_type[level] if self.is_residual else "spatiotemporal"
            strides.append(STRIDES[kind] if scaled else None)
        rows = zip(self.block_out_channels, outs, self.layers_per_block, strides, strict=False)
        return [DownLevel(*row) for row in rows]

    @property
    def up_levels(self) -> list[UpLevel]:
        """The decoder's levels, from the coarsest, after the middle, to the pixels."""
        made = []
        width = self.decoder_block_out_channels[-1]
        for level in reversed(range(len(self.decoder_block_out_channels))):
            factor = self.upsample_factor[level]
            out = self.decoder_block_out_channels[level] // factor
            made.append(
                UpLevel(
                    width // factor,
                    out,
                    self.decoder_layers_per_block[level],
                    self.decoder_spatio_temporal_scaling[level],
                    self.decoder_inject_noise[level],
                    self.upsample_residual[level],
                    factor,
                )
            )
            width = out
        return made

    @property
    def t_factor(self) -> int:
        """Frames per latent frame, except the first, which is one frame."""
        return self._halved(0)

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return self.patch_size * self._halved(1)

    def _halved(self, axis: int) -> int:
        """Positions along frames (0) or rows (1) that become one."""
        strides = [level.stride for level in self.down_levels]
        return math.prod(stride[axis] for stride in strides if stride is not None)

    @property
    def _decoded(self) -> tuple[int, int]:
        """Pixels per latent position on each side, and frames, as the decoder makes them."""
        doubled = 2 ** sum(self.decoder_spatio_temporal_scaling)
        return self.patch_size * doubled, doubled
