"""CogVideoX's causal 3D VAE: 1 + 4k frames of pixels <-> 1 + k latent frames.

A clip goes through it in batches of frames, as the model was released with: each layer keeps the
last frames of its input for the next batch (a :class:`Stream`), and the norms' statistics are those
of a batch. So the batches are a part of the model: others give another picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import SettingError
from mlxvid.layers.autoencoder_kl import posterior
from mlxvid.layers.conv import Stream, channels_last
from mlxvid.layers.frame_parts import GroupNorm, in_parts
from mlxvid.layers.tiling import blended_rows, chunks

from .vae_blocks import (
    CausalConv,
    Downsample,
    Level,
    MidBlock,
    SpatialNorm,
    Upsample,
    convolved,
)
from .vae_config import CogVideoXVAEConfig

# Frames and latent frames of a batch; the clip's first batch has those besides that are left over.
FRAMES = 8
LATENT_FRAMES = 2
# What tiles overlap by, of their height and of their width.
OVERLAP = (1 / 6, 1 / 5)

Tile = tuple[int, int]
"""Height and width in latent positions."""


class Encoder(nn.Module):
    """Pixels [B, F, H, W, 3] of a batch -> moments [B, f, h, w, 2C]."""

    def __init__(self, config: CogVideoXVAEConfig):
        super().__init__()
        widths = config.widths
        groups = config.norm_num_groups
        count = config.layers_per_block
        self.conv_in = CausalConv(config.in_channels, widths[0])
        self.down_blocks = [Level(*pair, count, groups) for pair in pairwise([widths[0], *widths])]
        for i, block in enumerate(self.down_blocks[:-1]):
            block.downsamplers = [Downsample(widths[i], 2**i < config.t_factor)]
        self.mid_block = MidBlock(widths[-1], groups)
        self.norm_out = GroupNorm(groups, widths[-1])
        self.conv_out = CausalConv(widths[-1], 2 * config.latent_channels)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        x = in_parts(lambda part, _: self.conv_in(part, stream), x, x.shape[1])
        for block in self.down_blocks:
            x = block(x, stream)
        x = self.mid_block(x, stream)
        return convolved(self.norm_out, self.conv_out, x, stream)


class Decoder(nn.Module):
    """Latents [B, f, h, w, C] of a batch -> pixels [B, F, H, W, 3]."""

    def __init__(self, config: CogVideoXVAEConfig):
        super().__init__()
        widths = config.widths[::-1]
        groups = config.norm_num_groups
        count = config.layers_per_block + 1
        zq = config.latent_channels
        self.conv_in = CausalConv(zq, widths[0])
        self.mid_block = MidBlock(widths[0], groups, zq)
        self.up_blocks = [
            Level(*pair, count, groups, zq) for pair in pairwise([widths[0], *widths])
        ]
        for i, block in enumerate(self.up_blocks[:-1]):
            block.upsamplers = [Upsample(widths[i], 2**i < config.t_factor)]
        self.norm_out = SpatialNorm(groups, widths[-1], zq)
        self.conv_out = CausalConv(widths[-1], config.out_channels)

    def __call__(self, z: mx.array, stream: Stream) -> mx.array:
        x = in_parts(lambda part, _: self.conv_in(part, stream), z, z.shape[1])
        x = self.mid_block(x, stream, z)
        for block in self.up_blocks:
            x = block(x, stream, z)
        return convolved(self.norm_out, self.conv_out, x, stream, z)


class AutoencoderKLCogVideoX(nn.Module):
    """Encoder and decoder.

    tile: the size of the tiles in which a larger picture goes through, None for the whole picture
    at once; :attr:`CogVideoXVAEConfig.tile` is the reference's. Tiles overlap by :data:`OVERLAP`
    and fade into each other. Each has norms and edges of its own, so the result is only near that
    of one pass. Each goes through the whole clip before the next, since it needs its own past
    frames: no frame is complete until the last tile is done.
    """

    def __init__(self, config: CogVideoXVAEConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
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
        self,
        frames: mx.array,
        noise: mx.array | None = None,
        tile: Tile | None = None,
        scale: float | None = None,
    ) -> mx.array:
        """Pixels [B, F, H, W, 3] in [-1, 1] -> scaled latents [B, f, H/8, W/8, C], float32.

        Returns the mean of the distribution, or with `noise`, shaped as the latents, the sample
        that it makes. scale: `scaling_factor` unless given, such as
        :attr:`CogVideoXVAEConfig.picture_scale`. Raises :class:`SettingError` for a width or height
        that is no multiple of 8.
        """
        s = self.s_factor
        h, w = frames.shape[2:4]
        if h % s or w % s:
            raise SettingError(
                f"{w}x{h} can't be encoded; give a `width` and `height` that divide by {s}."
            )
        x = frames.astype(self.encoder.conv_in.conv.weight.dtype)
        height, width = tile or (h, w)
        encoder = partial(_joined, self.encoder, FRAMES)
        rows = _tiled(encoder, x, (height * s, width * s), down=s)
        moments = mx.concatenate(list(rows), axis=2)
        return posterior(moments, noise) * (scale or self.config.scaling_factor)

    def sample(
        self,
        frames: mx.array,
        key: mx.array,
        tile: Tile | None = None,
        scale: float | None = None,
    ) -> mx.array:
        """:meth:`encode` with noise from `key`, as the reference's pipelines always encode."""
        b, f, h, w, _ = frames.shape
        grid = (h // self.s_factor, w // self.s_factor)
        noise = mx.random.normal(
            (b, self.latent_frames(f), *grid, self.config.latent_channels), key=key
        )
        return self.encode(frames, noise, tile, scale)

    def latent_frames(self, frames: int) -> int:
        """Latent frames that :meth:`encode` makes of that many frames."""
        batch = frames % FRAMES + FRAMES if frames >= FRAMES else frames
        later = (frames - batch) // FRAMES
        halvings = self.t_factor.bit_length() - 1
        for _ in range(halvings):
            batch = (batch + 1) // 2
        return batch + later * FRAMES // self.t_factor

    def decode(self, latents: mx.array, tile: Tile | None = None) -> Iterator[mx.array]:
        """Scaled latents [B, 1 + k, h, w, C] -> the clip's 1 + 4k frames in order, by batches.

        They are float32 [B, n, 8h, 8w, 3], about [-1, 1]. Of an even number of latent frames, all
        become as many frames.
        """
        z = latents.astype(mx.float32) / self.config.scaling_factor
        z = z.astype(self.decoder.conv_in.conv.weight.dtype)
        if tile is None or (z.shape[2] <= tile[0] and z.shape[3] <= tile[1]):
            yield from _batches(self.decoder, LATENT_FRAMES, z)
            return
        decoder = partial(_joined, self.decoder, LATENT_FRAMES)
        rows = list(_tiled(decoder, z, tile, up=self.s_factor))
        size = LATENT_FRAMES * self.t_factor
        parts = [chunks(row, size, row.shape[1] % size) for row in rows]
        for part in zip(*parts, strict=True):
            yield mx.concatenate(list(part), axis=2)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolution weights with their channels last."""
        return {name: channels_last(weight) for name, weight in weights.items()}


def _batches(network: nn.Module, size: int, x: mx.array) -> Iterator[mx.array]:
    """Apply `network` to a clip in batches of `size` frames, float32.

    The first has those besides that are left over.
    """
    stream = Stream()
    for part in chunks(x, size, x.shape[1] % size):
        y = network(part, stream).astype(mx.float32)
        mx.eval(y, stream.arrays())
        yield y


def _joined(network: nn.Module, size: int, x: mx.array, number: int = 0) -> mx.array:
    """The batches of :func:`_batches`, joined, for a clip or one of its tiles."""
    return mx.concatenate(list(_batches(network, size, x)), axis=1)


def _tiled(
    function: Callable[[mx.array, int], mx.array],
    x: mx.array,
    tile: Tile,
    up: int = 1,
    down: int = 1,
) -> Iterator[mx.array]:
    """Rows of blended tiles, each evaluated, or the one row of a picture that is no larger.

    tile: in positions of `x`. up, down: as in :func:`mlxvid.layers.tiling.tiled`.
    """
    if x.shape[2] <= tile[0] and x.shape[3] <= tile[1]:
        yield function(x, 0)
        return
    strides = []
    for side, overlap in zip(tile, OVERLAP, strict=True):
        strides.append(max(1, int(side // down * (1 - overlap))) * down)
    stride = (strides[0], strides[1])
    for row in blended_rows(function, x, tile, stride, up, down):
        mx.eval(row)
        yield row
