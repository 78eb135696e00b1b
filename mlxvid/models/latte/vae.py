"""The VAE whose decoder smooths over time: Diffusers' AutoencoderKLTemporalDecoder.

Its encoder is AutoencoderKL's (Stable Video Diffusion, arXiv:2311.15127). Each residual block of
the decoder is one in space, frame by frame, and one in time. In the decoder a video is a list of
frames [B, H, W, C], and each layer replaces them by its results: at full resolution a chunk takes
gigabytes, of which nothing is held twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.autoencoder_kl import (
    Attention,
    AutoencoderKLBase,
    Conv2d,
    ResnetBlock2D,
    Upsample2D,
    group_norm,
)
from mlxvid.layers.processor import silu
from mlxvid.layers.tiling import chunks

from .vae_config import TemporalDecoderConfig

# Latent frames decoded together, as in the reference pipeline: the norms in time are over all of
# them, so another number gives other frames.
CHUNK = 14

Frames = list[mx.array]
Layer = Callable[[mx.array], mx.array]


def apply_in_place(layer: Layer, frames: Frames) -> None:
    """Replace each frame by a picture layer's result."""
    for i, frame in enumerate(frames):
        frames[i] = layer(frame)
        mx.eval(frames[i])


class ChunkNorm(nn.GroupNorm):
    """PyTorch's group norm over all frames of a chunk together.

    Called with the frames, it returns the function that norms any of them.
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
        """float32 [B, positions, groups, channels of a group]."""
        shape = (frame.shape[0], -1, self.num_groups, self.dims // self.num_groups)
        return frame.astype(mx.float32).reshape(shape)

    def _mean(self, frames: Frames, function: Layer) -> mx.array:
        """The mean of `function` of the values in each group, float32 [B, 1, groups, 1]."""
        total = mx.zeros(())
        for frame in frames:
            total = total + mx.mean(function(self._grouped(frame)), axis=(1, 3), keepdims=True)
            mx.eval(total)
        return total / len(frames)


class TemporalConv(nn.Module):
    """A convolution over each frame and its two neighbours, with zeros beyond the ends."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.weight = mx.zeros((out_channels, 3, 1, 1, in_channels))
        self.bias = mx.zeros((out_channels,))

    def __call__(self, frames: Frames, before: Layer = lambda frame: frame) -> Iterator[mx.array]:
        """The convolved frames, one by one; `before` is applied to each frame first.

        A frame may be replaced by its result as soon as that is there.
        """
        past: mx.array | None = None
        present: mx.array | None = before(frames[0])
        for i in range(len(frames)):
            future = before(frames[i + 1]) if i + 1 < len(frames) else None
            y = self.bias
            for tap, frame in enumerate((past, present, future)):
                if frame is not None:
                    y = mx.addmm(y, frame, self.weight[:, tap, 0, 0].T)
            mx.eval(y, future)
            yield y
            past = present
            present = future


class TemporalResnetBlock(nn.Module):
    """The change by a residual block in time of each frame: norm, SiLU, convolution, twice."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.norm1 = ChunkNorm(groups, channels)
        self.conv1 = TemporalConv(channels, channels)
        self.norm2 = ChunkNorm(groups, channels)
        self.conv2 = TemporalConv(channels, channels)

    def __call__(self, frames: Frames) -> Iterator[mx.array]:
        norm = self.norm1(frames)
        inner = list(self.conv1(frames, lambda frame: silu(norm(frame))))
        inner_norm = self.norm2(inner)
        return self.conv2(inner, lambda frame: silu(inner_norm(frame)))


class Mixer(nn.Module):
    """A frame plus the temporal block's change, times the sigmoid of a weight."""

    def __init__(self):
        super().__init__()
        self.mix_factor = mx.zeros((1,))

    def __call__(self, frame: mx.array, change: mx.array) -> mx.array:
        return frame + mx.sigmoid(self.mix_factor) * change


class SpatioTemporalResBlock(nn.Module):
    """A residual block in space, then a share of one in time."""

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.spatial_res_block = ResnetBlock2D(in_channels, out_channels, groups)
        self.temporal_res_block = TemporalResnetBlock(out_channels, groups)
        self.time_mixer = Mixer()

    def __call__(self, frames: Frames) -> None:
        apply_in_place(self.spatial_res_block, frames)
        for i, change in enumerate(self.temporal_res_block(frames)):
            frames[i] = self.time_mixer(frames[i], change)
            mx.eval(frames[i])


class MidBlock(nn.Module):
    """Two residual blocks around an attention.

    A config may have more blocks: the reference holds and never runs them, and so do we.
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
            apply_in_place(attention, frames)
            block(frames)


class Level(nn.Module):
    """The residual blocks of one resolution.

    Its owner adds `upsamplers`, a list of one, where a finer resolution follows.
    """

    def __init__(self, in_channels: int, out_channels: int, count: int, groups: int):
        super().__init__()
        widths = [in_channels] + [out_channels] * count
        self.resnets = [SpatioTemporalResBlock(*pair, groups) for pair in pairwise(widths)]

    def __call__(self, frames: Frames) -> None:
        for block in self.resnets:
            block(frames)
        for layer in self.get("upsamplers", ()):
            apply_in_place(layer, frames)


class TemporalDecoder(nn.Module):
    """Latents [B, F, h, w, C] -> the frames [B, H, W, 3] one by one."""

    def __init__(self, config: TemporalDecoderConfig):
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
        self.time_conv_out = TemporalConv(config.out_channels, config.out_channels)

    def __call__(self, z: mx.array) -> Iterator[mx.array]:
        frames = [z[:, i] for i in range(z.shape[1])]
        apply_in_place(self.conv_in, frames)
        for block in (self.mid_block, *self.up_blocks):
            block(frames)
        apply_in_place(self._to_pixels, frames)
        return self.time_conv_out(frames)

    def _to_pixels(self, frame: mx.array) -> mx.array:
        return self.conv_out(silu(self.conv_norm_out(frame)))


class AutoencoderKLTemporalDecoder(AutoencoderKLBase):
    """AutoencoderKL's encoder with a decoder that works on the frames of a chunk together."""

    def __init__(self, config: TemporalDecoderConfig):
        super().__init__(config)
        self.decoder = TemporalDecoder(config)

    def decode(self, latents: mx.array, chunk: int = CHUNK) -> Iterator[mx.array]:
        """Scaled latents [B, F, h, w, C] -> the frames in order, one by one.

        They are float32 [B, 1, 8h, 8w, 3], about [-1, 1]. `chunk` frames are computed together:
        another number makes slightly other frames, and fewer take less memory.
        """
        for part in chunks(self.unscaled(latents), chunk):
            for frame in self.decoder(part):
                yield frame[:, None].astype(mx.float32)
