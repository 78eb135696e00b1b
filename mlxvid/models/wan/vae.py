"""Wan 2.1's causal 3D VAE: 1 + 4k frames of pixels <-> 1 + k latent frames.

Memory does not depend on the length of the clip: it goes through in chunks, and a chunk needs two
past frames of each layer's input (a :class:`Stream`). The middle of the network, on the coarsest
level, has attention over all positions of a picture; the levels between it and the pixels have
convolutions only. So large pictures go through the middle whole and through the other levels in
tiles, with the convolutions' receptive field as a halo: the result is that of one pass, without
seams.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import SettingError
from mlxvid.layers import bounds
from mlxvid.layers.conv import Stream, channels_last
from mlxvid.layers.processor import silu
from mlxvid.layers.tiling import blended, chunks, tiled

from .vae_blocks import (
    Downsample,
    Layer,
    MidBlock,
    ResidualBlock,
    RMSNorm,
    UpBlock,
    causal,
    in_parts,
)
from .vae_config import WanVAEConfig

# Pictures of more latent positions than this are worked on in tiles.
WHOLE = 128 * 128
TILE = 80  # latent positions on a side of a tile


class Encoder(nn.Module):
    """Pixels [B, F, H, W, 3] -> moments [B, f, h, w, 2C].

    It has two parts: :meth:`lower` down to the coarsest level, then :meth:`middle`.
    """

    def __init__(self, config: WanVAEConfig):
        super().__init__()
        dims = [config.base_dim * multiplier for multiplier in config.dim_mult]
        self.conv_in = causal(config.in_channels, config.base_dim, 3)
        self.down_blocks: list[ResidualBlock | Downsample] = []
        width = config.base_dim
        for level, dim in enumerate(dims):
            for _ in range(config.num_res_blocks):
                self.down_blocks.append(ResidualBlock(width, dim))
                width = dim
            if level < len(config.temperal_downsample):
                self.down_blocks.append(Downsample(dim, config.temperal_downsample[level]))
        self.mid_block = MidBlock(dims[-1])
        self.norm_out = RMSNorm(dims[-1])
        self.conv_out = causal(dims[-1], 2 * config.z_dim, 3)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        return self.middle(self.lower(x, stream), stream)

    def lower(self, x: mx.array, stream: Stream) -> mx.array:
        """From pixels to the coarsest level: convolutions only."""
        level: list[Layer] = [self.conv_in]
        for block in self.down_blocks:
            level.append(block)
            if isinstance(block, Downsample):
                x = in_parts(level, x, stream, block.unit)
                level = []
        return in_parts(level, x, stream)

    def middle(self, x: mx.array, stream: Stream) -> mx.array:
        """The coarsest level, with attention over the whole picture, to moments."""
        x = self.mid_block(x, stream)
        return self.conv_out(silu(self.norm_out(x)), stream)


class Decoder(nn.Module):
    """Latents [B, f, h, w, C] -> pixels [B, F, H, W, 3].

    It has two parts: :meth:`middle` on the coarsest level, then :meth:`upper`.
    """

    def __init__(self, config: WanVAEConfig):
        super().__init__()
        base = config.base_dim if config.decoder_base_dim is None else config.decoder_base_dim
        dims = [base * multiplier for multiplier in reversed(config.dim_mult)]
        self.conv_in = causal(config.z_dim, dims[0], 3)
        self.mid_block = MidBlock(dims[0])
        self.up_blocks = []
        width = dims[0]
        upsamplings = [*reversed(config.temperal_downsample), None]
        for dim, in_time in zip(dims, upsamplings, strict=True):
            self.up_blocks.append(UpBlock(width, dim, config.num_res_blocks, in_time))
            width = dim // 2  # an upsampling halves the channels
        self.norm_out = RMSNorm(dims[-1])
        self.conv_out = causal(dims[-1], config.out_channels, 3)

    def __call__(self, z: mx.array, stream: Stream) -> mx.array:
        return self.upper(self.middle(z, stream), stream)

    def middle(self, z: mx.array, stream: Stream) -> mx.array:
        """The coarsest level, with attention over the whole picture."""
        return self.mid_block(self.conv_in(z, stream), stream)

    def upper(self, x: mx.array, stream: Stream) -> mx.array:
        """From the coarsest level to pixels: convolutions only."""
        for block in self.up_blocks[:-1]:
            x = in_parts([block], x, stream)
        return in_parts([self.up_blocks[-1], self.head], x, stream)

    def head(self, x: mx.array, stream: Stream) -> mx.array:
        return self.conv_out(silu(self.norm_out(x)), stream)


class AutoencoderKLWan(nn.Module):
    """Encoder and decoder, with latents scaled to zero mean and unit deviation per channel.

    chunk: latent frames at a time; more of them take more memory and change nothing else. tile:
    latent positions on a side of the tiles, by default the whole picture up to about 1024x1024
    pixels and 80 beyond. stride: makes the tiles go through the whole network, one every `stride`
    positions, and blends them where they overlap. That is Diffusers' `enable_tiling` (there 32 and
    24 positions): it takes less memory than the same tiles with a halo, and gives a result only
    near that of one pass. Each tile goes through the whole clip before the next, since it needs its
    own past frames: no frame is complete until the last tile is done.
    """

    def __init__(self, config: WanVAEConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quant_conv = causal(2 * config.z_dim, 2 * config.z_dim, 1)
        self.post_quant_conv = causal(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)

    @property
    def t_factor(self) -> int:
        """Frames per latent frame, except the first, which is one frame."""
        return self.config.t_factor

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return self.config.s_factor

    def encode(
        self, frames: mx.array, chunk: int = 1, tile: int | None = None, stride: int | None = None
    ) -> mx.array:
        """Pixels [B, 1 + 4k, H, W, 3] in [-1, 1] -> scaled latents [B, 1 + k, H/8, W/8, C].

        float32, the distribution's mean. Raises :class:`SettingError` for another number of frames,
        or a width or height that is no multiple of 8.
        """
        t = self.t_factor
        s = self.s_factor
        f, h, w = frames.shape[1:4]
        if f % t != 1 % t or h % s or w % s:
            raise SettingError(
                f"{f} frames of {w}x{h} can't be encoded; "
                f"give 1 + {t}k frames of a width and height that divide by {s}."
            )
        x = frames.astype(self.encoder.conv_in.weight.dtype)
        tile = tile or _tile(h // s, w // s)
        if stride is None:
            lower = partial(_whole, self.encoder.lower, chunk * t, 1 - t)
            x = tiled(lower, x, tile * s, encoder_halo(self.config) * s, down=s)
            z = _whole(self.encoder.middle, chunk, 0, x)
        else:
            encoder = partial(_whole, self.encoder, chunk * t, 1 - t)
            z = blended(encoder, x, tile * s, stride * s, down=s)
        z = self.quant_conv(z)[..., : self.config.z_dim].astype(mx.float32)
        return (z - mx.array(self.config.latents_mean)) / mx.array(self.config.latents_std)

    def decode(
        self, latents: mx.array, chunk: int = 1, tile: int | None = None, stride: int | None = None
    ) -> Iterator[mx.array]:
        """Scaled latents [B, 1 + k, h, w, C] -> the clip's 1 + 4k frames in order, chunk by chunk.

        They are float32 [B, n, 8h, 8w, 3] in [-1, 1].
        """
        std = mx.array(self.config.latents_std)
        mean = mx.array(self.config.latents_mean)
        z = latents.astype(mx.float32) * std + mean
        z = self.post_quant_conv(z.astype(self.decoder.conv_in.weight.dtype))
        for part in self._decoded(z, chunk, tile or _tile(*z.shape[2:4]), stride):
            yield mx.clip(part.astype(mx.float32), -1, 1)

    def _decoded(
        self, z: mx.array, chunk: int, tile: int, stride: int | None
    ) -> Iterator[mx.array]:
        if max(z.shape[2:4]) <= tile:
            yield from _stream(self.decoder, chunk, 0, z)
            return
        if stride is None:
            x = _whole(self.decoder.middle, chunk, 0, z)
            upper = partial(_whole, self.decoder.upper, chunk, 0)
            frames = tiled(upper, x, tile, decoder_halo(self.config), up=self.s_factor)
        else:
            decoder = partial(_whole, self.decoder, chunk, 0)
            frames = blended(decoder, z, tile, stride, up=self.s_factor)
        yield from chunks(frames, chunk * self.t_factor, 1 - self.t_factor)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolution weights with their channels last, norm weights [C].

        PyTorch's norm weights have axes of length 1 to broadcast over.
        """
        made = {}
        for name, weight in weights.items():
            is_norm = name.endswith("gamma")
            made[name] = weight.reshape(-1) if is_norm else channels_last(weight)
        return made


def encoder_halo(config: WanVAEConfig) -> int:
    """The receptive field of :meth:`Encoder.lower` beyond a result's own latent position."""
    # From the coarsest level to the pixels, in each level's positions. A convolution with stride 2
    # reads one more to the right.
    reach = 0
    for level in range(len(config.dim_mult)):
        if level > 0:
            reach = 2 * reach + 1
        reach += 2 * config.num_res_blocks
    return -(-(reach + 1) // config.s_factor)


def decoder_halo(config: WanVAEConfig) -> int:
    """The receptive field of :meth:`Decoder.upper` beyond a result's own latent position."""
    # From the pixels to the coarsest level, in each level's positions. conv_out reaches 1, as does
    # the convolution after each upsampling, on the finer level.
    reach = 1
    for level in range(len(config.dim_mult)):
        if level > 0:
            reach = -(-(reach + 1) // 2)
        reach += 2 * (config.num_res_blocks + 1)
    return reach


def _tile(height: int, width: int) -> int:
    """The side of the tiles of a picture of that many latent positions: all of a small one."""
    share = bounds.share()
    return max(height, width) if height * width <= WHOLE * share else int(TILE * share)


def _stream(function: Layer, size: int, spare: int, x: mx.array) -> Iterator[mx.array]:
    """Apply `function` to a clip in chunks of `size` frames, each evaluated with its stream.

    The first chunk has `spare` frames more, or fewer where it is negative.
    """
    stream = Stream()
    for part in chunks(x, size, spare):
        y = function(part, stream)
        mx.eval(y, stream.arrays())
        yield y


def _whole(function: Layer, size: int, spare: int, x: mx.array, number: int = 0) -> mx.array:
    """The chunks of :func:`_stream`, joined, for a clip or one of its tiles."""
    return mx.concatenate(list(_stream(function, size, spare, x)), axis=1)
