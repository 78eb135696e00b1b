"""HunyuanVideo's causal 3D VAE: 1 + 4k frames of pixels <-> 1 + k latent frames.

A clip goes through it in pieces that overlap and are blended, as Diffusers has them: in time always
where there are more than 4 latent frames, in space where the picture is larger than a tile. Each
piece has norms and attention of its own, so the pieces are a part of the model: others give another
picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import SettingError
from mlxvid.layers.autoencoder_kl import posterior
from mlxvid.layers.conv import CausalConv3d, channels_last
from mlxvid.layers.frame_parts import GroupNorm
from mlxvid.layers.tiling import blended, blended_in_time

from .vae_blocks import (
    CausalConv,
    Downsample,
    Level,
    MidBlock,
    Upsample,
    convolved,
    normed,
    through,
)
from .vae_config import HunyuanVideoVAEConfig

# Diffusers' tiles: in time of 16 frames (and the one before them), one every 12; in space of 256
# pixels, one every 192. The original release's are as large in space.
FRAMES = 16
FRAMES_STRIDE = 12
TILE = 32  # latent positions on a side


class Encoder(nn.Module):
    """Pixels [B, 1 + 4k, H, W, 3] -> moments [B, 1 + k, h, w, 2C]."""

    def __init__(self, config: HunyuanVideoVAEConfig):
        super().__init__()
        widths = config.block_out_channels
        groups = config.norm_num_groups
        count = config.layers_per_block
        self.conv_in = CausalConv(config.in_channels, widths[0])
        self.down_blocks = [Level(*pair, count, groups) for pair in pairwise([widths[0], *widths])]
        for number, block in enumerate(self.down_blocks[:-1]):
            block.downsamplers = [Downsample(widths[number], in_time=number > 0)]
        self.mid_block = MidBlock(widths[-1], groups, config.mid_block_add_attention)
        self.conv_norm_out = GroupNorm(groups, widths[-1])
        self.conv_out = CausalConv(widths[-1], 2 * config.latent_channels)

    def __call__(self, x: mx.array) -> mx.array:
        x = self.mid_block(through(self.down_blocks, convolved(self.conv_in, x)))
        return normed(self.conv_norm_out, self.conv_out, x)


class Decoder(nn.Module):
    """Latents [B, 1 + k, h, w, C] -> pixels [B, 1 + 4k, H, W, 3]."""

    def __init__(self, config: HunyuanVideoVAEConfig):
        super().__init__()
        widths = config.block_out_channels[::-1]
        groups = config.norm_num_groups
        count = config.layers_per_block + 1
        self.conv_in = CausalConv(config.latent_channels, widths[0])
        self.mid_block = MidBlock(widths[0], groups, config.mid_block_add_attention)
        self.up_blocks = [Level(*pair, count, groups) for pair in pairwise([widths[0], *widths])]
        for number, block in enumerate(self.up_blocks[:-1]):
            block.upsamplers = [Upsample(widths[number], in_time=number > 0)]
        self.conv_norm_out = GroupNorm(groups, widths[-1])
        self.conv_out = CausalConv(widths[-1], config.out_channels)

    def __call__(self, z: mx.array) -> mx.array:
        x = through(self.up_blocks, self.mid_block(convolved(self.conv_in, z)))
        return normed(self.conv_norm_out, self.conv_out, x)


class AutoencoderKLHunyuanVideo(nn.Module):
    """Encoder and decoder.

    tile: latent positions on a side of the tiles in which a larger picture goes through, a multiple
    of 4, by default :data:`TILE`; None for the whole picture at once. They overlap by a quarter.
    """

    def __init__(self, config: HunyuanVideoVAEConfig):
        super().__init__()
        self.config = config
        channels = config.latent_channels
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = CausalConv3d(2 * channels, 2 * channels, (1, 1, 1))
        self.post_quant_conv = CausalConv3d(channels, channels, (1, 1, 1))

    @property
    def t_factor(self) -> int:
        """Frames per latent frame, except the first, which is one frame."""
        return self.config.t_factor

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return self.config.s_factor

    def encode(self, frames: mx.array, tile: int | None = TILE) -> mx.array:
        """Pixels [B, 1 + 4k, H, W, 3] in [-1, 1] -> scaled latents [B, 1 + k, H/8, W/8, C].

        float32, the distribution's mode. Raises :class:`SettingError` for another number of frames,
        or a width or height that is no multiple of 8.
        """
        t = self.t_factor
        s = self.s_factor
        f, h, w = frames.shape[1:4]
        if f % t != 1 or h % s or w % s:
            raise SettingError(
                f"{f} frames of {w}x{h} can't be encoded; "
                f"give 1 + {t}k frames of a width and height that divide by {s}."
            )
        x = frames.astype(self.encoder.conv_in.conv.weight.dtype)
        side = (tile or max(h, w)) * s
        picture = partial(blended, self._moments, tile=side, stride=side * 3 // 4, down=s)
        if f <= FRAMES:
            moments = picture(x)
        else:
            parts = blended_in_time(picture, x, FRAMES, FRAMES_STRIDE, down=t)
            moments = mx.concatenate(list(parts), axis=1)
        return posterior(moments) * self.config.scaling_factor

    def decode(self, latents: mx.array, tile: int | None = TILE) -> Iterator[mx.array]:
        """Scaled latents [B, 1 + k, h, w, C] -> the clip's 1 + 4k frames in order, in parts.

        They are float32 [B, n, 8h, 8w, 3], in about [-1, 1].
        """
        t = self.t_factor
        z = latents.astype(mx.float32) / self.config.scaling_factor
        z = z.astype(self.decoder.conv_in.conv.weight.dtype)
        side = tile or max(z.shape[2:4])
        picture = partial(blended, self._pixels, tile=side, stride=side * 3 // 4, up=self.s_factor)
        if z.shape[1] <= FRAMES // t:
            yield picture(z)
            return
        yield from blended_in_time(picture, z, FRAMES // t, FRAMES_STRIDE // t, up=t)

    def _moments(self, x: mx.array, number: int) -> mx.array:
        return self.quant_conv(self.encoder(x))

    def _pixels(self, z: mx.array, number: int) -> mx.array:
        return self.decoder(self.post_quant_conv(z)).astype(mx.float32)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolution weights with their channels last."""
        return {name: channels_last(weight) for name, weight in weights.items()}
