"""The image VAE of Stable Diffusion, applied frame by frame: pixels <-> latents.

Names and maths are those of Diffusers' AutoencoderKL (arXiv:2112.10752).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from . import bounds
from .attention import attend
from .autoencoder_kl_config import AutoencoderKLConfig
from .conv import channels_last
from .processor import silu
from .tiling import blended, chunks

# Positions (frames x height x width) that a layer works on at a time, but one frame at least: this
# many fill a GPU, and more only take memory.
POSITIONS = 512 * 512
# Pictures of more latent positions than this are worked on in tiles. Each tile is normed and
# attends by itself, which changes the picture a little, so tiling begins only where one piece
# would take many gigabytes: beyond 720p.
UNTILED = 128 * 128
TILE = 64  # latent positions on a side of a tile
# Today's names of the attention's layers, by those of checkpoints that an early Diffusers wrote.
RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def group_norm(groups: int, channels: int, eps: float = 1e-6) -> nn.GroupNorm:
    """PyTorch's group norm: statistics over all axes but the first, in float32 for any weights."""
    return nn.GroupNorm(groups, channels, eps, pytorch_compatible=True)


class Conv2d(nn.Conv2d):
    """A convolution that is evaluated alone: its input before it, its result before what follows.

    Otherwise MLX works on several at a time, each with a workspace many times as large as the
    picture.
    """

    def __call__(self, x: mx.array) -> mx.array:
        mx.eval(x)
        y = super().__call__(x)
        mx.eval(y)
        return y


class ResnetBlock2D(nn.Module):
    """Norm, SiLU and a convolution, twice, added to the input: [N, H, W, C] -> [N, H, W, C']."""

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.norm1 = group_norm(groups, in_channels)
        self.conv1 = Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(groups, out_channels)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.conv_shortcut = Conv2d(in_channels, out_channels, 1)

    def __call__(self, x: mx.array) -> mx.array:
        h = self.conv1(silu(self.norm1(x)))
        h = self.conv2(silu(self.norm2(h)))
        return h + (self.conv_shortcut(x) if "conv_shortcut" in self else x)


class Attention(nn.Module):
    """Self-attention within each frame, one head of all channels, added to [N, H, W, C]."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.group_norm = group_norm(groups, channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = [nn.Linear(channels, channels)]

    def __call__(self, x: mx.array) -> mx.array:
        n, h, w, c = x.shape
        tokens = self.group_norm(x).reshape(n, 1, h * w, c)
        q = self.to_q(tokens)
        k = self.to_k(tokens)
        v = self.to_v(tokens)
        return x + self.to_out[0](attend(q, k, v)).reshape(n, h, w, c)


class MidBlock(nn.Module):
    """Two residual blocks around an attention, at the coarsest resolution."""

    def __init__(self, channels: int, config: AutoencoderKLConfig):
        super().__init__()
        groups = config.norm_num_groups
        if config.mid_block_add_attention:
            self.attentions = [Attention(channels, groups)]
        self.resnets = [ResnetBlock2D(channels, channels, groups) for _ in range(2)]

    def __call__(self, x: mx.array) -> mx.array:
        x = self.resnets[0](x)
        if "attentions" in self:
            x = self.attentions[0](x)
        return self.resnets[1](x)


class Downsample2D(nn.Module):
    """A convolution with stride 2: [N, H, W, C] -> [N, H // 2, W // 2, C].

    Its padding is one row of zeros below and one column on the right.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, stride=2)

    def __call__(self, x: mx.array) -> mx.array:
        return self.conv(mx.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)]))


class Upsample2D(nn.Module):
    """Nearest-neighbour upsampling, then a convolution: [N, H, W, C] -> [N, 2H, 2W, C]."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, padding=1)

    def __call__(self, x: mx.array) -> mx.array:
        n, h, w, c = x.shape
        x = mx.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c))
        return self.conv(x.reshape(n, 2 * h, 2 * w, c))


class Level(nn.Module):
    """The residual blocks of one resolution.

    Its owner adds the layer that leads to the next resolution: `downsamplers` or `upsamplers`,
    lists of one.
    """

    def __init__(self, in_channels: int, out_channels: int, count: int, groups: int):
        super().__init__()
        widths = [in_channels] + [out_channels] * count
        self.resnets = [ResnetBlock2D(*pair, groups) for pair in pairwise(widths)]

    def __call__(self, x: mx.array) -> mx.array:
        for layer in (*self.resnets, *self.get("downsamplers", ()), *self.get("upsamplers", ())):
            x = layer(x)
        return x


class Encoder(nn.Module):
    """Pixels [N, H, W, 3] -> moments [N, h, w, 2C] before the quantizing convolution."""

    def __init__(self, config: AutoencoderKLConfig):
        super().__init__()
        widths = config.block_out_channels
        count = config.layers_per_block
        groups = config.norm_num_groups
        self.conv_in = Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.down_blocks = [Level(*pair, count, groups) for pair in pairwise([widths[0], *widths])]
        for block, width in zip(self.down_blocks[:-1], widths, strict=False):
            block.downsamplers = [Downsample2D(width)]
        self.mid_block = MidBlock(widths[-1], config)
        self.conv_norm_out = group_norm(groups, widths[-1])
        self.conv_out = Conv2d(widths[-1], 2 * config.latent_channels, 3, padding=1)

    def __call__(self, x: mx.array) -> mx.array:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    """Latents [N, h, w, C] -> pixels [N, H, W, 3]."""

    def __init__(self, config: AutoencoderKLConfig):
        super().__init__()
        widths = config.block_out_channels[::-1]
        count = config.layers_per_block + 1
        groups = config.norm_num_groups
        self.conv_in = Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.mid_block = MidBlock(widths[0], config)
        self.up_blocks = [Level(*pair, count, groups) for pair in pairwise([widths[0], *widths])]
        for block, width in zip(self.up_blocks[:-1], widths, strict=False):
            block.upsamplers = [Upsample2D(width)]
        self.conv_norm_out = group_norm(groups, widths[-1])
        self.conv_out = Conv2d(widths[-1], config.out_channels, 3, padding=1)

    def __call__(self, z: mx.array) -> mx.array:
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(silu(self.conv_norm_out(x)))


class AutoencoderKLBase(nn.Module):
    """The part that VAEs with AutoencoderKL's encoder share: encoding, scaling and tensor names."""

    def __init__(self, config: AutoencoderKLConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        if config.use_quant_conv:
            self.quant_conv = Conv2d(2 * config.latent_channels, 2 * config.latent_channels, 1)

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return 2 ** (len(self.config.block_out_channels) - 1)

    @property
    def dtype(self) -> mx.Dtype:
        """The type to compute in: the weights' type, but float32 instead of float16.

        Many of these VAEs overflow float16.
        """
        dtype = self.encoder.conv_in.weight.dtype
        return mx.float32 if dtype == mx.float16 else dtype

    def encode(
        self, frames: mx.array, noise: mx.array | None = None, tile: int | None = None
    ) -> mx.array:
        """Pixels [B, F, H, W, 3] in [-1, 1] -> scaled latents [B, F, h, w, C], float32.

        h and w are H / 8 and W / 8, rounded down. Returns the mean of the distribution, or with
        `noise` [B, F, h, w, C] the sample that it makes. tile: latent positions on a side of a
        tile, a multiple of 4; by default only large pictures are tiled.
        """
        s = self.s_factor
        h = frames.shape[2] // s
        w = frames.shape[3] // s
        tile = tile or _tile(h, w)
        if tile:
            frames = frames[:, :, : h * s, : w * s]
        parts = []
        for part in frame_batches(frames.astype(self.dtype)):
            if tile:
                moments = blended(self._moments, part, tile * s, tile * s * 3 // 4, down=s)
            else:
                moments = self._moments(part)
            mx.eval(moments)
            parts.append(moments)
        return posterior(mx.concatenate(parts, axis=1), noise) * self.config.scaling_factor

    def _moments(self, x: mx.array, number: int = 0) -> mx.array:
        x = framewise(self.encoder, x)
        return framewise(self.quant_conv, x) if "quant_conv" in self else x

    def unscaled(self, latents: mx.array) -> mx.array:
        """Scaled latents as the decoder reads them, in the type that it computes in."""
        return (latents.astype(mx.float32) / self.config.scaling_factor).astype(self.dtype)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolution weights with their channels last, attention layers under today's names."""
        return {_current_name(name): channels_last(weight) for name, weight in weights.items()}


class AutoencoderKL(AutoencoderKLBase):
    """Encoder and decoder of single frames, a few of them at a time."""

    def __init__(self, config: AutoencoderKLConfig):
        super().__init__(config)
        self.decoder = Decoder(config)
        if config.use_post_quant_conv:
            self.post_quant_conv = Conv2d(config.latent_channels, config.latent_channels, 1)

    def decode(self, latents: mx.array, tile: int | None = None) -> Iterator[mx.array]:
        """Scaled latents [B, F, h, w, C] -> the frames in order, a few at a time.

        They are float32 [B, n, 8h, 8w, 3], about [-1, 1]. tile: as in :meth:`encode`.
        """
        tile = tile or _tile(*latents.shape[2:4])
        for part in frame_batches(self.unscaled(latents), self.s_factor):
            if tile:
                y = blended(self._pixels, part, tile, tile * 3 // 4, up=self.s_factor)
            else:
                y = self._pixels(part)
            y = y.astype(mx.float32)
            mx.eval(y)
            yield y

    def _pixels(self, z: mx.array, number: int = 0) -> mx.array:
        if "post_quant_conv" in self:
            z = framewise(self.post_quant_conv, z)
        return framewise(self.decoder, z)


def _tile(height: int, width: int) -> int | None:
    """The side of the tiles for a picture of that many latent positions; None: no tiles."""
    return TILE if height * width > UNTILED else None


def _current_name(name: str) -> str:
    if ".attentions." in name:
        for old, new in RENAMED.items():
            name = name.replace(f".{old}.", f".{new}.")
    return name


def posterior(moments: mx.array, noise: mx.array | None = None) -> mx.array:
    """The distribution's mean, or the sample mean + std * noise, float32 [..., C].

    moments: mean and log variance, [..., 2C].
    """
    mean, log_variance = mx.split(moments.astype(mx.float32), 2, axis=-1)
    if noise is None:
        return mean
    return mean + mx.exp(0.5 * mx.clip(log_variance, -30, 20)) * noise


def frame_batches(x: mx.array, up: int = 1) -> Iterator[mx.array]:
    """`x` [B, F, H, W, C] in parts of as many frames as POSITIONS allows.

    up: how many times as many positions a side the result has.
    """
    b, _, h, w, _ = x.shape
    positions = int(POSITIONS * bounds.share())
    return chunks(x, max(1, positions // (b * h * w * up**2)))


def framewise(function: Callable[[mx.array], mx.array], x: mx.array) -> mx.array:
    """Apply a `function` of pictures [N, H, W, C] to the frames of a video [B, F, H, W, C]."""
    y = function(x.reshape(-1, *x.shape[2:]))
    return y.reshape(*x.shape[:2], *y.shape[1:])
