"""Open-Sora 1.2's VAE: an image VAE, 8 x 8 pixels to 1, then a temporal VAE, 17 frames to 5.

The temporal VAE takes chunks of 17 frames, independent of each other. Reference:
hpcaitech/Open-Sora v1.2.0, VideoAutoencoderPipeline and VAE_Temporal. Attribute names are those of
the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.autoencoder_kl import AutoencoderKL, group_norm, posterior
from mlxvid.layers.conv import CausalConv3d
from mlxvid.layers.processor import silu
from mlxvid.layers.tiling import chunks

from .chain import chain
from .vae_config import OpenSoraVAEConfig

EPS = 1e-5  # of the temporal VAE's norms


class CausalConv(nn.Module):
    """A causal convolution with zeros before the clip: [B, F, ...] -> [B, F / stride, ...].

    The checkpoint has it one name deeper. It is evaluated alone, as
    :class:`mlxvid.layers.autoencoder_kl.Conv2d` is.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        self.conv = CausalConv3d(
            in_channels, out_channels, (kernel,) * 3, bias, stride, repeat_first=False
        )

    def __call__(self, x: mx.array) -> mx.array:
        mx.eval(x)
        y = self.conv(x)
        mx.eval(y)
        return y


class ResBlock(nn.Module):
    """Norm, SiLU and a causal convolution, twice, added to the input.

    The norms are over all frames of the chunk.
    """

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.norm1 = group_norm(groups, in_channels, EPS)
        self.conv1 = CausalConv(in_channels, out_channels, bias=False)
        self.norm2 = group_norm(groups, out_channels, EPS)
        self.conv2 = CausalConv(out_channels, out_channels, bias=False)
        if in_channels != out_channels:
            self.conv3 = CausalConv(in_channels, out_channels, 1, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        h = self.conv1(silu(self.norm1(x)))
        h = self.conv2(silu(self.norm2(h)))
        return h + (self.conv3(x) if "conv3" in self else x)


class TimeUpsample(CausalConv):
    """Twice the frames: a causal convolution to 2C channels, of which each two are two frames."""

    def __init__(self, channels: int):
        super().__init__(channels, 2 * channels)

    def __call__(self, x: mx.array) -> mx.array:
        b, f, h, w, c = x.shape
        y = super().__call__(x).reshape(b, f, h, w, c, 2)
        return y.transpose(0, 1, 5, 2, 3, 4).reshape(b, 2 * f, h, w, c)


def res_blocks(in_channels: int, out_channels: int, config: OpenSoraVAEConfig) -> list[ResBlock]:
    """The residual blocks of one level."""
    widths = [in_channels] + [out_channels] * config.num_res_blocks
    return [ResBlock(*pair, config.num_groups) for pair in pairwise(widths)]


class Encoder(nn.Module):
    """Image latents [B, F, h, w, C] -> moments [B, f, h, w, 2C], to be quantized by a convolution.

    F is a multiple of the time factor.
    """

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        widths = config.widths
        self.conv_in = CausalConv(config.in_out_channels, config.filters, bias=False)
        pairs = pairwise([config.filters, *widths])
        self.block_res_blocks = [res_blocks(*pair, config) for pair in pairs]
        self.conv_blocks: list[nn.Module] = []
        for width, down in zip(widths, config.temporal_downsample, strict=False):
            halving = CausalConv(width, width, stride=2) if down else nn.Identity()
            self.conv_blocks.append(halving)
        self.res_blocks = res_blocks(widths[-1], widths[-1], config)
        self.norm1 = group_norm(config.num_groups, widths[-1], EPS)
        self.conv2 = CausalConv(widths[-1], 2 * config.latent_embed_dim, 1)

    def __call__(self, x: mx.array) -> mx.array:
        x = self.conv_in(x)
        halvings = [*self.conv_blocks, nn.Identity()]
        for level, halving in zip(self.block_res_blocks, halvings, strict=True):
            x = halving(chain(level, x))
        return self.conv2(silu(self.norm1(chain(self.res_blocks, x))))


class Decoder(nn.Module):
    """Latents [B, f, h, w, C] -> image latents [B, F, h, w, C].

    Levels are numbered as the encoder's and run from the last to the first.
    """

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        widths = config.widths
        self.conv1 = CausalConv(config.latent_embed_dim, widths[-1])
        self.res_blocks = res_blocks(widths[-1], widths[-1], config)
        pairs = zip([*widths[1:], widths[-1]], widths, strict=True)
        self.block_res_blocks = [res_blocks(*pair, config) for pair in pairs]
        self.conv_blocks: list[nn.Module] = []
        for width, down in zip(widths[1:], config.temporal_downsample, strict=True):
            self.conv_blocks.append(TimeUpsample(width) if down else nn.Identity())
        self.norm1 = group_norm(config.num_groups, widths[0], EPS)
        self.conv_out = CausalConv(widths[0], config.in_out_channels)

    def __call__(self, z: mx.array) -> mx.array:
        x = chain(self.res_blocks, self.conv1(z))
        doublings = [*self.conv_blocks[::-1], nn.Identity()]
        for level, doubling in zip(self.block_res_blocks[::-1], doublings, strict=True):
            x = doubling(chain(level, x))
        return self.conv_out(silu(self.norm1(x)))


class TemporalVAE(nn.Module):
    """The encoder and decoder of one chunk of image latents."""

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        self.t_factor = config.t_factor
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = CausalConv(2 * config.latent_embed_dim, 2 * config.embed_dim, 1)
        self.post_quant_conv = CausalConv(config.embed_dim, config.latent_embed_dim, 1)

    def encode(self, x: mx.array) -> mx.array:
        """Image latents [B, F, h, w, C] -> moments [B, f, h, w, 2C].

        Zero frames in front fill up the first latent frame.
        """
        missing = -x.shape[1] % self.t_factor
        x = mx.pad(x, [(0, 0), (missing, 0), (0, 0), (0, 0), (0, 0)])
        return self.quant_conv(self.encoder(x))

    def decode(self, z: mx.array, frames: int) -> mx.array:
        """Latents [B, f, h, w, C] -> image latents [B, F, h, w, C] of a chunk of `frames`.

        The frames in front that :meth:`encode` filled up are dropped.
        """
        x = self.decoder(self.post_quant_conv(z))
        return x[:, -frames % self.t_factor :]


class SpatialVAE(nn.Module):
    """The image VAE, which the checkpoint has one name deeper."""

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        self.module = AutoencoderKL(config.spatial)


class OpenSoraVAE(nn.Module):
    """Both VAEs, one after the other.

    Latents are scaled to zero mean and unit deviation per channel.
    """

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        self.config = config
        self.spatial_vae = SpatialVAE(config)
        self.temporal_vae = TemporalVAE(config)
        self.scale = mx.ones((1, 1, 1, 1, config.embed_dim))
        self.shift = mx.zeros((1, 1, 1, 1, config.embed_dim))

    @property
    def t_factor(self) -> int:
        """Frames per latent frame; :meth:`OpenSoraVAEConfig.latent_frames` rounds up."""
        return self.config.t_factor

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return self.spatial_vae.module.s_factor

    def set_dtype(self, dtype: mx.Dtype, *args: Any, **kwargs: Any) -> None:
        """Set the type of all weights except scale and shift.

        Rounding those would change the latents.
        """
        scale = self.scale
        shift = self.shift
        super().set_dtype(dtype, *args, **kwargs)
        self.scale = scale
        self.shift = shift

    def encode(self, frames: mx.array, noise: tuple[mx.array, mx.array] | None = None) -> mx.array:
        """Pixels [B, F, H, W, 3] in [-1, 1] -> scaled latents [B, f, h, w, C], float32.

        h and w are H / 8 and W / 8, rounded down. Returns the mean of both distributions, or with
        `noise` ([B, F, h, w, C'], [B, f, h, w, C]) the sample that it makes of them.
        """
        spatial_noise, temporal_noise = noise or (None, None)
        image_vae = self.spatial_vae.module
        x = image_vae.encode(frames, spatial_noise).astype(image_vae.dtype)
        parts = []
        for part in chunks(x, self.config.micro_frame_size):
            moments = self.temporal_vae.encode(part)
            mx.eval(moments)
            parts.append(moments)
        z = posterior(mx.concatenate(parts, axis=1), temporal_noise)
        return (z - self.shift) / self.scale

    def sample(self, frames: mx.array, key: mx.array) -> mx.array:
        """:meth:`encode` with noise from `key`, float32, as the reference always encodes."""
        config = self.config
        b, f, h, w = frames.shape[:4]
        grid = (h // self.s_factor, w // self.s_factor)
        spatial_shape = (b, f, *grid, config.in_out_channels)
        temporal_shape = (b, config.latent_frames(f), *grid, config.embed_dim)
        spatial_key, temporal_key = mx.random.split(key)
        spatial_noise = mx.random.normal(spatial_shape, key=spatial_key)
        temporal_noise = mx.random.normal(temporal_shape, key=temporal_key)
        return self.encode(frames, (spatial_noise, temporal_noise))

    def decode(self, latents: mx.array, frames: int, tile: int | None = None) -> Iterator[mx.array]:
        """Scaled latents [B, f, h, w, C] -> the clip's frames in order, a few at a time.

        They are float32 [B, n, 8h, 8w, 3]. frames: the clip's number of frames. tile: as in
        :meth:`AutoencoderKL.decode`. Raises ValueError where a clip of `frames` has another number
        of latent frames.
        """
        size = self.config.micro_frame_size
        needed = self.config.latent_frames(frames)
        if latents.shape[1] != needed:
            raise ValueError(
                f"{latents.shape[1]} latent frames where {frames} frames have {needed}"
            )
        image_vae = self.spatial_vae.module
        z = (latents.astype(mx.float32) * self.scale + self.shift).astype(image_vae.dtype)
        for part in chunks(z, self.config.latent_frames(size)):
            x = self.temporal_vae.decode(part, min(size, frames))
            mx.eval(x)
            frames -= size
            yield from image_vae.decode(x, tile)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolution weights and the latents' scale and shift with their channels last."""
        return AutoencoderKL.sanitize(weights)
