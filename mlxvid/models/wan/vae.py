"""Wan 2.1's causal 3D VAE: 1 + 4k frames of pixels <-> 1 + k frames of latents, chunk by chunk and,
where they are large, tile by tile.

Memory does not depend on the length of the clip: a chunk needs two frames of each layer's input
from before it (a :class:`Stream`). A picture's middle, on the coarsest level, has attention among
all positions; what lies between it and the pixels has convolutions only. So large pictures go
through the middle whole and through the rest in tiles, with the convolutions' reach as a halo: the
result is that of one pass, without seams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import SettingError
from mlxvid.layers.conv import Stream, channels_last
from mlxvid.layers.tiling import blended, chunks, tiled

from .vae_blocks import Downsample, MidBlock, ResidualBlock, RMSNorm, UpBlock, causal, in_parts
from .vae_config import WanVAEConfig

# Pictures to this many latent positions go whole; larger ones in tiles of so many a side.
WHOLE = 128 * 128
TILE = 80


class Encoder(nn.Module):
    """Pixels [B, F, H, W, 3] -> moments [B, f, h, w, 2C] in two parts: :meth:`lower` down to the
    coarsest level, then :meth:`middle`.
    """

    def __init__(self, config: WanVAEConfig):
        super().__init__()
        dims = [config.base_dim * m for m in [1, *config.dim_mult]]
        self.conv_in = causal(config.in_channels, dims[0], 3)
        self.down_blocks = []
        for level, dim in enumerate(dims[1:]):
            self.down_blocks += [
                ResidualBlock(dim if i else dims[level], dim) for i in range(config.num_res_blocks)
            ]
            if level < len(config.temperal_downsample):
                self.down_blocks.append(Downsample(dim, config.temperal_downsample[level]))
        self.mid_block = MidBlock(dim)
        self.norm_out = RMSNorm(dim)
        self.conv_out = causal(dim, 2 * config.z_dim, 3)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        return self.middle(self.lower(x, stream), stream)

    def lower(self, x: mx.array, stream: Stream) -> mx.array:
        level = [self.conv_in]
        for block in self.down_blocks:
            level.append(block)
            if isinstance(block, Downsample):
                x = in_parts(level, x, stream, block.unit)
                level = []
        return in_parts(level, x, stream)

    def middle(self, x: mx.array, stream: Stream) -> mx.array:
        x = self.mid_block(x, stream)
        return self.conv_out(nn.silu(self.norm_out(x)), stream)


class Decoder(nn.Module):
    """Latents [B, f, h, w, C] -> pixels [B, F, H, W, 3] in two parts: :meth:`middle` on the
    coarsest level, then :meth:`upper`.
    """

    def __init__(self, config: WanVAEConfig):
        super().__init__()
        base = config.base_dim if config.decoder_base_dim is None else config.decoder_base_dim
        dims = [base * m for m in [config.dim_mult[-1], *reversed(config.dim_mult)]]
        upsample = [*reversed(config.temperal_downsample), None]
        self.conv_in = causal(config.z_dim, dims[0], 3)
        self.mid_block = MidBlock(dims[0])
        # An upsampling halves the channels.
        self.up_blocks = [
            UpBlock(dims[i] // 2 if i else dims[i], dims[i + 1], config.num_res_blocks, in_time)
            for i, in_time in enumerate(upsample)
        ]
        self.norm_out = RMSNorm(dims[-1])
        self.conv_out = causal(dims[-1], config.out_channels, 3)

    def __call__(self, z: mx.array, stream: Stream) -> mx.array:
        return self.upper(self.middle(z, stream), stream)

    def middle(self, z: mx.array, stream: Stream) -> mx.array:
        return self.mid_block(self.conv_in(z, stream), stream)

    def upper(self, x: mx.array, stream: Stream) -> mx.array:
        for block in self.up_blocks[:-1]:
            x = in_parts([block], x, stream)
        return in_parts([self.up_blocks[-1], self.head], x, stream)

    def head(self, x: mx.array, stream: Stream) -> mx.array:
        return self.conv_out(nn.silu(self.norm_out(x)), stream)


class AutoencoderKLWan(nn.Module):
    """Encoder and decoder, with latents scaled to zero mean and unit deviation a channel, as Wan's
    transformer has them.

    `chunk`: latent frames at a time; more of them take more memory and change nothing else. `tile`:
    latent positions a side of the tiles, by default the whole picture up to about 1024x1024 pixels
    and 80 beyond. `stride`: makes the tiles go through the whole network, one every `stride`
    positions, and blends them where they overlap. That is Diffusers' `enable_tiling` (there 32 and
    24 positions): less memory than the same tiles with a halo, and only near the one pass. Tiles go
    through the clip one after the other, since each needs its own past: then the frames wait until
    the last is done.
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
        return self.config.t_factor

    @property
    def s_factor(self) -> int:
        return self.config.s_factor

    def encode(
        self, frames: mx.array, chunk: int = 1, tile: int | None = None, stride: int | None = None
    ) -> mx.array:
        """Pixels [B, 1 + 4k, H, W, 3] in [-1, 1] -> scaled latents [B, 1 + k, H/8, W/8, C],
        float32: the distribution's mean.

        Raises :class:`SettingError` for another number of frames, or a width or height that is no
        multiple of 8.
        """
        t, s = self.t_factor, self.s_factor
        f, h, w = frames.shape[1:4]
        if f % t != 1 % t or h % s or w % s:
            raise SettingError(
                f"{f} frames of {w}x{h} can't be encoded; give 1 + {t}k frames of a width and height that divide by {s}."
            )
        x = frames.astype(self.encoder.conv_in.weight.dtype)
        tile = tile or _tile(h // s, w // s)
        if stride is None:
            x = tiled(
                partial(_whole, self.encoder.lower, chunk * t, 1 - t),
                x,
                tile * s,
                encoder_halo(self.config) * s,
                down=s,
            )
            z = _whole(self.encoder.middle, chunk, 0, x)
        else:
            z = blended(
                partial(_whole, self.encoder, chunk * t, 1 - t), x, tile * s, stride * s, down=s
            )
        mean = self.quant_conv(z)[..., : self.config.z_dim]
        return (mean.astype(mx.float32) - mx.array(self.config.latents_mean)) / mx.array(
            self.config.latents_std
        )

    def decode(
        self, latents: mx.array, chunk: int = 1, tile: int | None = None, stride: int | None = None
    ) -> Iterator[mx.array]:
        """Scaled latents [B, 1 + k, h, w, C] -> the clip's 1 + 4k frames in order, chunk by chunk,
        float32 [B, n, 8h, 8w, 3] in [-1, 1].
        """
        z = latents.astype(mx.float32) * mx.array(self.config.latents_std) + mx.array(
            self.config.latents_mean
        )
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
            frames = blended(
                partial(_whole, self.decoder, chunk, 0), z, tile, stride, up=self.s_factor
            )
        yield from chunks(frames, chunk * self.t_factor, 1 - self.t_factor)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """PyTorch's convolution weights with the channels last, the norms' weights without the axes
        that PyTorch broadcasts over.
        """
        return {
            name: weight.reshape(-1) if name.endswith("gamma") else channels_last(weight)
            for name, weight in weights.items()
        }


def encoder_halo(config: WanVAEConfig) -> int:
    """How far a result of :meth:`Encoder.lower` sees beyond its own position, in latent positions."""
    reach = 0  # beyond its own part of a level, from the coarsest to the pixels; a step of 2 reads 1 more to the right
    for level in range(len(config.dim_mult)):
        reach = (2 * reach + 1 if level else 0) + 2 * config.num_res_blocks
    return -(-(reach + 1) // config.s_factor)


def decoder_halo(config: WanVAEConfig) -> int:
    """How far a result of :meth:`Decoder.upper` sees beyond its own position, in latent positions."""
    reach = 1  # from the pixels to the coarsest level; the upsampling's kernel reaches 1 on the finer one
    for level in range(len(config.dim_mult)):
        reach = (-(-(reach + 1) // 2) if level else reach) + 2 * (config.num_res_blocks + 1)
    return reach


def _tile(height: int, width: int) -> int:
    return max(height, width) if height * width <= WHOLE else TILE


def _stream(
    function: Callable[[mx.array, Stream], mx.array], size: int, spare: int, x: mx.array
) -> Iterator[mx.array]:
    """`function` over chunks of `size` frames of a clip, each evaluated with what the next must
    know of it.
    """
    stream = Stream()
    for part in chunks(x, size, spare):
        y = function(part, stream)
        mx.eval(y, stream.arrays())
        yield y


def _whole(
    function: Callable[[mx.array, Stream], mx.array],
    size: int,
    spare: int,
    x: mx.array,
    number: int = 0,
) -> mx.array:
    """The same, joined: for a clip, or for its tile of that number."""
    return mx.concatenate(list(_stream(function, size, spare, x)), axis=1)
