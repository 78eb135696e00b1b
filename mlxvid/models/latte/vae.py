"""The VAE whose decoder smooths over time: Diffusers' AutoencoderKLTemporalDecoder (Stable Video
Diffusion, arXiv:2311.15127).

Its encoder is AutoencoderKL's. Each residual block of the decoder is one in space, frame by frame,
and one in time. In the decoder a video is a list of its frames [B, H, W, C], and each layer puts
its results in their place: at full resolution a chunk takes gigabytes, of which nothing is held
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.autoencoder_kl import (
    Attention,
    AutoencoderKL,
    Conv2d,
    ResnetBlock2D,
    Upsample2D,
    group_norm,
)
from mlxvid.layers.tiling import chunks

from .vae_config import TemporalDecoderConfig

CHUNK = 14  # latent frames that are decoded together, as the reference pipeline's: the norms in time are over all of them

Frames = list[mx.array]
Layer = Callable[[mx.array], mx.array]


def put_through(layer: Layer, frames: Frames) -> None:
    """Put each frame through a layer for pictures."""
    for i, frame in enumerate(frames):
        frames[i] = layer(frame)
        mx.eval(frames[i])


class ChunkNorm(nn.GroupNorm):
    """PyTorch's group norm over all frames of a chunk together: given them, it returns the function
    that norms any of them.
    """

    def __init__(self, groups: int, channels: int):
        super().__init__(groups, channels, 1e-5)

    def __call__(self, frames: Frames) -> Layer:
        mean = self._mean(frames, lambda x: x)
        deviation = mx.sqrt(self._mean(frames, lambda x: mx.square(x - mean)) + self.eps)

        def normed(frame: mx.array) -> mx.array:
            y = (self._grouped(frame) - mean) / deviation
            return y.reshape(frame.shape).astype(frame.dtype) * self.weight + self.bias

        return normed

    def _grouped(self, frame: mx.array) -> mx.array:
        return frame.astype(mx.float32).reshape(
            frame.shape[0], -1, self.num_groups, self.dims // self.num_groups
        )

    def _mean(self, frames: Frames, function: Layer) -> mx.array:
        """The mean of `function` of the frames' values over each group of channels, float32 [B, 1,
        groups, 1].
        """
        total = mx.zeros(())
        for frame in frames:
            total = total + mx.mean(function(self._grouped(frame)), axis=(1, 3), keepdims=True)
            mx.eval(total)
        return total / len(frames)


class TemporalConv(nn.Module):
    """A convolution over each frame and its two neighbours, with zeros beyond the first and the
    last frame.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.weight = mx.zeros((out_channels, 3, 1, 1, in_channels))
        self.bias = mx.zeros((out_channels,))

    def __call__(self, frames: Frames, before: Layer = lambda frame: frame) -> Iterator[mx.array]:
        """The frames, each first put through `before`, convolved, one by one. A frame's result may
        take its place.
        """
        past, present = None, before(frames[0])
        for i in range(len(frames)):
            future = before(frames[i + 1]) if i + 1 < len(frames) else None
            y = self.bias
            for tap, frame in enumerate((past, present, future)):
                if frame is not None:
                    y = mx.addmm(y, frame, self.weight[:, tap, 0, 0].T)
            mx.eval(y, future)
            yield y
            past, present = present, future


class TemporalResnetBlock(nn.Module):
    """What a residual block in time adds to each frame: norm, SiLU and convolution, twice."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.norm1 = ChunkNorm(groups, channels)
        self.conv1 = TemporalConv(channels, channels)
        self.norm2 = ChunkNorm(groups, channels)
        self.conv2 = TemporalConv(channels, channels)

    def __call__(self, frames: Frames) -> Iterator[mx.array]:
        norm = self.norm1(frames)
        inner = list(self.conv1(frames, lambda frame: nn.silu(norm(frame))))
        inner_norm = self.norm2(inner)
        return self.conv2(inner, lambda frame: nn.silu(inner_norm(frame)))


class Mixer(nn.Module):
    """How much of what a block in time adds is taken: the sigmoid of a weight."""

    def __init__(self):
        super().__init__()
        self.mix_factor = mx.zeros((1,))

    def __call__(self, frame: mx.array, added: mx.array) -> mx.array:
        return frame + mx.sigmoid(self.mix_factor) * added


class SpatioTemporalResBlock(nn.Module):
    """A residual block in space, then the share of one in time."""

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.spatial_res_block = ResnetBlock2D(in_channels, out_channels, groups)
        self.temporal_res_block = TemporalResnetBlock(out_channels, groups)
        self.time_mixer = Mixer()

    def __call__(self, frames: Frames) -> None:
        put_through(self.spatial_res_block, frames)
        for i, added in enumerate(self.temporal_res_block(frames)):
            frames[i] = self.time_mixer(frames[i], added)
            mx.eval(frames[i])


class MidBlock(nn.Module):
    """Residual blocks with an attention after the first. Of more than two blocks the reference
    never runs the others, nor do we.
    """

    def __init__(self, channels: int, config: TemporalDecoderConfig):
        super().__init__()
        groups = config.norm_num_groups
        self.resnets = [
            SpatioTemporalResBlock(channels, channels, groups)
            for _ in range(config.layers_per_block)
        ]
        self.attentions = [Attention(channels, groups)]

    def __call__(self, frames: Frames) -> None:
        self.resnets[0](frames)
        for attention, block in zip(self.attentions, self.resnets[1:], strict=False):
            put_through(attention, frames)
            block(frames)


class Level(nn.Module):
    """The residual blocks of one resolution; its owner adds `upsamplers`, a list of one, where a
    finer one follows.
    """

    def __init__(self, in_channels: int, out_channels: int, count: int, groups: int):
        super().__init__()
        sizes = [in_channels] + [out_channels] * count
        self.resnets = [SpatioTemporalResBlock(*pair, groups) for pair in pairwise(sizes)]

    def __call__(self, frames: Frames) -> None:
        for block in self.resnets:
            block(frames)
        for layer in self.get("upsamplers", ()):
            put_through(layer, frames)


class TemporalDecoder(nn.Module):
    """Latents [B, F, h, w, C] -> the frames [B, H, W, 3] one by one."""

    def __init__(self, config: TemporalDecoderConfig):
        super().__init__()
        sizes, groups = config.block_out_channels[::-1], config.norm_num_groups
        self.conv_in = Conv2d(config.latent_channels, sizes[0], 3, padding=1)
        self.mid_block = MidBlock(sizes[0], config)
        self.up_blocks = [
            Level(*pair, config.layers_per_block + 1, groups)
            for pair in pairwise([sizes[0], *sizes])
        ]
        for block, size in zip(self.up_blocks[:-1], sizes, strict=False):
            block.upsamplers = [Upsample2D(size)]
        self.conv_norm_out = group_norm(groups, sizes[-1])
        self.conv_out = Conv2d(sizes[-1], config.out_channels, 3, padding=1)
        self.time_conv_out = TemporalConv(config.out_channels, config.out_channels)

    def __call__(self, z: mx.array) -> Iterator[mx.array]:
        frames = [z[:, i] for i in range(z.shape[1])]
        put_through(self.conv_in, frames)
        for block in (self.mid_block, *self.up_blocks):
            block(frames)
        put_through(lambda frame: self.conv_out(nn.silu(self.conv_norm_out(frame))), frames)
        return self.time_conv_out(frames)


class AutoencoderKLTemporalDecoder(AutoencoderKL):
    """AutoencoderKL with a decoder in which the frames of a chunk know of each other."""

    def __init__(self, config: TemporalDecoderConfig):
        super().__init__(config)
        self.decoder = TemporalDecoder(config)

    def decode(self, latents: mx.array, chunk: int = CHUNK) -> Iterator[mx.array]:
        """Scaled latents [B, F, h, w, C] -> the frames in order, one by one, float32 [B, 1, 8h, 8w,
        3], about [-1, 1].

        `chunk` frames are computed together: another number makes slightly other frames, and fewer
        take less memory.
        """
        for part in chunks(self.unscaled(latents), chunk):
            for frame in self.decoder(part):
                yield frame[:, None].astype(mx.float32)
