"""The factored model's causal 3D VAE: 1 + 4k frames of pixels <-> 1 + k latent frames.

It works chunk by chunk and tile by tile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.conv import CausalConv3d, Stream, channels_last
from mlxvid.layers.patches import fold, unfold
from mlxvid.layers.processor import silu
from mlxvid.layers.tiling import chunks, tiled

from .config import VAEConfig


class ResBlock(nn.Module):
    """Norm, SiLU and a convolution over space, again over time, added to [B, F, H, W, C].

    The norms are over the channels of one position, so that chunks and tiles don't change them.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.norm1 = nn.RMSNorm(dim, eps=1e-6)
        self.conv1 = CausalConv3d(dim, dim, (1, 3, 3))
        self.norm2 = nn.RMSNorm(dim, eps=1e-6)
        self.conv2 = CausalConv3d(dim, dim, (3, 1, 1))

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        h = self.conv1(silu(self.norm1(x)))
        return x + self.conv2(silu(self.norm2(h)), stream)


class Encoder(nn.Module):
    """Pixels [B, F, H, W, 3] in [-1, 1] -> moments [B, f, H/2p, W/2p, 2C] (mean, log variance)."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        low, high = config.block_channels
        self.patch = (config.patch_size_t, config.patch_size)
        self.conv_in = nn.Linear(3 * config.patch_size_t * config.patch_size**2, low)
        self.fine = [ResBlock(low) for _ in range(config.encoder_layers[0])]
        self.down = nn.Linear(4 * low, high)
        self.coarse = [ResBlock(high) for _ in range(config.encoder_layers[1])]
        self.norm_out = nn.RMSNorm(high, eps=1e-6)
        self.conv_out = nn.Linear(high, 2 * config.latent_channels)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        if not stream.started:
            # The first latent frame is of the first frame alone, repeated to fill its patch.
            x = mx.concatenate([mx.repeat(x[:, :1], self.patch[0] - 1, axis=1), x], axis=1)
        x = self.conv_in(fold(x, *self.patch))
        for block in self.fine:
            x = block(x, stream)
        x = self.down(fold(x, 1, 2))
        for block in self.coarse:
            x = block(x, stream)
        return self.conv_out(silu(self.norm_out(x)))


class Decoder(nn.Module):
    """Latents [B, f, h, w, C] -> pixels [B, F, 2ph, 2pw, 3], about [-1, 1]."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        low, high = config.block_channels
        self.patch = (config.patch_size_t, config.patch_size)
        self.conv_in = nn.Linear(config.latent_channels, high)
        self.coarse = [ResBlock(high) for _ in range(config.decoder_layers[1])]
        self.up = nn.Linear(high, 4 * low)
        self.fine = [ResBlock(low) for _ in range(config.decoder_layers[0])]
        self.norm_out = nn.RMSNorm(low, eps=1e-6)
        self.conv_out = nn.Linear(low, 3 * config.patch_size_t * config.patch_size**2)

    def __call__(self, z: mx.array, stream: Stream) -> mx.array:
        spare = 0 if stream.started else self.patch[0] - 1
        x = self.conv_in(z)
        for block in self.coarse:
            x = block(x, stream)
        x = unfold(self.up(x), 1, 2)
        for block in self.fine:
            x = block(x, stream)
        x = unfold(self.conv_out(silu(self.norm_out(x))), *self.patch)
        return x[:, spare:]


class FactoredVAE(nn.Module):
    """Encoder and decoder, with latents scaled to zero mean and unit deviation per channel.

    `encode` and `decode` take the clip in temporal chunks of `chunk` latent frames and tiles of
    `tile` latent positions a side. The result equals one pass over everything, since each chunk's
    stream keeps the past frames that the causal convolutions need, and the tiles' halo covers the
    receptive field: they change memory and nothing else.
    """

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @property
    def t_factor(self) -> int:
        """Frames per latent frame, except the first, which is one frame."""
        return self.config.patch_size_t

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return 2 * self.config.patch_size

    def _scale(self) -> tuple[mx.array, mx.array]:
        """The latents' mean and deviation, [C] each."""
        channels = self.config.latent_channels
        mean = self.config.latents_mean or [0.0] * channels
        std = self.config.latents_std or [1.0] * channels
        return mx.array(mean), mx.array(std)

    def encode(self, frames: mx.array, chunk: int = 8, tile: int = 32) -> mx.array:
        """Pixels [B, 1 + 4k, H, W, 3] in [-1, 1] -> scaled latents [B, 1 + k, H/8, W/8, C].

        float32, the distribution's mean.
        """
        mean, std = self._scale()

        def encode_tile(x: mx.array, number: int) -> mx.array:
            stream = Stream()
            means = []
            for part in chunks(x, chunk * self.t_factor, 1 - self.t_factor):
                moments = self.encoder(part, stream)
                means.append(moments[..., : self.config.latent_channels])
                mx.eval(means[-1], stream.arrays())
            return mx.concatenate(means, axis=1)

        x = frames.astype(self.encoder.conv_in.weight.dtype)
        s = self.s_factor
        z = tiled(encode_tile, x, tile * s, _halo(self.config.encoder_layers) * s, down=s)
        return (z.astype(mx.float32) - mean) / std

    def decode(self, latents: mx.array, chunk: int = 4, tile: int = 32) -> Iterator[mx.array]:
        """Scaled latents [B, f, h, w, C] -> the clip's frames in order, chunk by chunk.

        They are float32 [B, n, 8h, 8w, 3], about [-1, 1].
        """
        mean, std = self._scale()
        z = (latents.astype(mx.float32) * std + mean).astype(self.decoder.conv_in.weight.dtype)
        streams: dict[int, Stream] = defaultdict(Stream)

        def decode_tile(x: mx.array, number: int) -> mx.array:
            y = self.decoder(x, streams[number])
            mx.eval(y, streams[number].arrays())
            return y

        halo = _halo(self.config.decoder_layers)
        for part in chunks(z, chunk):
            y = tiled(decode_tile, part, tile, halo, up=self.s_factor)
            yield y.astype(mx.float32)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """PyTorch's convolution weights with the channels last."""
        return {name: channels_last(weight) for name, weight in weights.items()}


def _halo(layers: list[int]) -> int:
    """The receptive field in latent positions, of (fine, coarse) numbers of blocks.

    A block reaches 1 position of its grid; two of the fine grid are one of the coarse.
    """
    fine, coarse = layers
    return coarse + (fine + 1) // 2
