"""Open-Sora 1.2's VAE: an image VAE that makes every frame 8 x 8 times smaller, then a temporal VAE
that makes 17 frames of them 5.

The temporal VAE takes chunks of 17 frames, which know nothing of each other (reference:
hpcaitech/Open-Sora v1.2.0, VideoAutoencoderPipeline and VAE_Temporal). Attribute names are those of
the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.autoencoder_kl import AutoencoderKL, group_norm, posterior
from mlxvid.layers.conv import CausalConv3d
from mlxvid.layers.tiling import chunks

from .vae_config import OpenSoraVAEConfig

EPS = 1e-5  # of the temporal VAE's norms


class CausalConv(nn.Module):
    """A causal convolution with zeros before the first frame: [B, F, H, W, C] -> [B, F / stride, H,
    W, C'].

    The checkpoint has it one name deeper. It has the memory to itself, as
    :class:`mlxvid.layers.autoencoder_kl.Conv2d` has.
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
    """Norm, SiLU and a causal convolution, twice, added to the input. The norms are over all frames
    of the chunk.
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
        h = self.conv1(nn.silu(self.norm1(x)))
        h = self.conv2(nn.silu(self.norm2(h)))
        return h + (self.conv3(x) if "conv3" in self else x)


class TimeUpsample(CausalConv):
    """A causal convolution to twice as many channels, of which each two make two frames: [B, F, H,
    W, C] -> [B, 2F, H, W, C].
    """

    def __init__(self, channels: int):
        super().__init__(channels, 2 * channels)

    def __call__(self, x: mx.array) -> mx.array:
        b, f, h, w, c = x.shape
        y = super().__call__(x).reshape(b, f, h, w, c, 2)
        return y.transpose(0, 1, 5, 2, 3, 4).reshape(b, 2 * f, h, w, c)


def res_blocks(in_channels: int, out_channels: int, config: OpenSoraVAEConfig) -> list[ResBlock]:
    """The residual blocks of one level."""
    sizes = [in_channels] + [out_channels] * config.num_res_blocks
    return [ResBlock(*pair, config.num_groups) for pair in pairwise(sizes)]


def applied(blocks: list[nn.Module], x: mx.array) -> mx.array:
    """`x` through `blocks`, one after another."""
    for block in blocks:
        x = block(x)
    return x


class Encoder(nn.Module):
    """Image latents [B, F, h, w, C] -> moments [B, f, h, w, 2C] before the quantizing convolution;
    F is a multiple of the time factor.
    """

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        widths = config.widths
        self.conv_in = CausalConv(config.in_out_channels, config.filters, bias=False)
        self.block_res_blocks = [
            res_blocks(*pair, config) for pair in pairwise([config.filters, *widths])
        ]
        self.conv_blocks = [
            CausalConv(width, width, stride=2) if down else nn.Identity()
            for width, down in zip(widths, config.temporal_downsample, strict=False)
        ]
        self.res_blocks = res_blocks(widths[-1], widths[-1], config)
        self.norm1 = group_norm(config.num_groups, widths[-1], EPS)
        self.conv2 = CausalConv(widths[-1], 2 * config.latent_embed_dim, 1)

    def __call__(self, x: mx.array) -> mx.array:
        x = self.conv_in(x)
        for level, down in zip(
            self.block_res_blocks, [*self.conv_blocks, nn.Identity()], strict=True
        ):
            x = down(applied(level, x))
        return self.conv2(nn.silu(self.norm1(applied(self.res_blocks, x))))


class Decoder(nn.Module):
    """Latents [B, f, h, w, C] -> image latents [B, F, h, w, C]. Levels are numbered as the
    encoder's and run from the last to the first.
    """

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        widths = config.widths
        self.conv1 = CausalConv(config.latent_embed_dim, widths[-1])
        self.res_blocks = res_blocks(widths[-1], widths[-1], config)
        self.block_res_blocks = [
            res_blocks(*pair, config)
            for pair in zip([*widths[1:], widths[-1]], widths, strict=True)
        ]
        self.conv_blocks = [
            TimeUpsample(width) if down else nn.Identity()
            for width, down in zip(widths[1:], config.temporal_downsample, strict=True)
        ]
        self.norm1 = group_norm(config.num_groups, widths[0], EPS)
        self.conv_out = CausalConv(widths[0], config.in_out_channels)

    def __call__(self, z: mx.array) -> mx.array:
        x = applied(self.res_blocks, self.conv1(z))
        for level, up in zip(
            self.block_res_blocks[::-1], [*self.conv_blocks[::-1], nn.Identity()], strict=True
        ):
            x = up(applied(level, x))
        return self.conv_out(nn.silu(self.norm1(x)))


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
        """Image latents [B, F, h, w, C] -> moments [B, f, h, w, 2C]; zero frames in front fill the
        first latent frame.
        """
        x = mx.pad(x, [(0, 0), (-x.shape[1] % self.t_factor, 0), (0, 0), (0, 0), (0, 0)])
        return self.quant_conv(self.encoder(x))

    def decode(self, z: mx.array, frames: int) -> mx.array:
        """Latents [B, f, h, w, C] -> the last `frames` image latents [B, F, h, w, C]: those before
        them were filled up.
        """
        x = self.decoder(self.post_quant_conv(z))
        return x[:, -frames % self.t_factor :]


class SpatialVAE(nn.Module):
    """The image VAE, which the checkpoint has one name deeper."""

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        self.module = AutoencoderKL(config.spatial)


class OpenSoraVAE(nn.Module):
    """Both VAEs, one after the other; latents are scaled to zero mean and unit deviation a channel."""

    def __init__(self, config: OpenSoraVAEConfig):
        super().__init__()
        self.config = config
        self.spatial_vae = SpatialVAE(config)
        self.temporal_vae = TemporalVAE(config)
        self.scale = mx.ones((1, 1, 1, 1, config.embed_dim))
        self.shift = mx.zeros((1, 1, 1, 1, config.embed_dim))

    @property
    def t_factor(self) -> int:
        """Frames a latent frame, but for what :meth:`OpenSoraVAEConfig.latent_frames` rounds up."""
        return self.config.t_factor

    @property
    def s_factor(self) -> int:
        """Pixels a latent position on each side."""
        return self.spatial_vae.module.s_factor

    def set_dtype(self, dtype: mx.Dtype, *args, **kwargs) -> None:
        """Set the type of all weights but scale and shift, which would change the latents where
        they were rounded.
        """
        scale, shift = self.scale, self.shift
        super().set_dtype(dtype, *args, **kwargs)
        self.scale, self.shift = scale, shift

    def encode(self, frames: mx.array, noise: tuple[mx.array, mx.array] | None = None) -> mx.array:
        """Pixels [B, F, H, W, 3] in [-1, 1] -> scaled latents [B, f, h, w, C], float32; h is H / 8
        rounded down.

        The mean of both distributions, or with `noise` ([B, F, h, w, C'], [B, f, h, w, C]) the
        sample that it makes of them.
        """
        spatial_noise, noise = noise or (None, None)
        image_vae = self.spatial_vae.module
        x = image_vae.encode(frames, spatial_noise).astype(image_vae.dtype)
        parts = []
        for part in chunks(x, self.config.micro_frame_size):
            parts.append(self.temporal_vae.encode(part))
            mx.eval(parts[-1])
        return (posterior(mx.concatenate(parts, axis=1), noise) - self.shift) / self.scale

    def sample(self, frames: mx.array, key: mx.array) -> mx.array:
        """:meth:`encode` with noise from `key`, float32: what the reference does wherever it
        encodes.
        """
        config = self.config
        b, f, h, w = frames.shape[:4]
        grid = (h // self.s_factor, w // self.s_factor)
        shapes = (
            (b, f, *grid, config.in_out_channels),
            (b, config.latent_frames(f), *grid, config.embed_dim),
        )
        return self.encode(
            frames,
            tuple(
                mx.random.normal(shape, key=k)
                for shape, k in zip(shapes, mx.random.split(key), strict=True)
            ),
        )

    def decode(self, latents: mx.array, frames: int, tile: int | None = None) -> Iterator[mx.array]:
        """Scaled latents [B, f, h, w, C] of a clip of `frames` -> its frames in order, a few at a
        time, float32 [B, n, 8h, 8w, 3].

        tile: as :meth:`AutoencoderKL.decode` has it. Raises ValueError where a clip of `frames` has
        another number of latent frames.
        """
        needed, size = self.config.latent_frames(frames), self.config.micro_frame_size
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
        """PyTorch's convolution weights and the latents' scale and shift with the channels last."""
        return AutoencoderKL.sanitize(weights)
