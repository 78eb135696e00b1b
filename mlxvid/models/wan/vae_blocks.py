"""The blocks of Wan's VAE: all map [B, F, H, W, C] to the same, and a long clip chunk by chunk.

Sources of the maths: Diffusers' ``autoencoder_kl_wan`` and arXiv:2503.20314, section 4.1. Where the
reference counts through a list of caches, each layer here keeps its past frames in the
:class:`Stream`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.attention import attend
from mlxvid.layers.conv import CausalConv3d, FrameConv2d, Stream
from mlxvid.layers.processor import silu
from mlxvid.layers.tiling import chunks

Layer = Callable[[mx.array, Stream], mx.array]

# Positions (frames x height x width of a level) that go through a level's blocks at once: several
# frames of a small picture, one of a large one.
MAX_POSITIONS = 2**13


def causal(in_channels: int, out_channels: int, kernel: int) -> CausalConv3d:
    """A causal convolution over kernel^3 positions with zeros before the clip."""
    return CausalConv3d(in_channels, out_channels, (kernel, kernel, kernel), repeat_first=False)


class RMSNorm(nn.Module):
    """RMS norm over each position's channels, times gamma: the reference's WanRMS_norm.

    The statistics are in float32.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.gamma = mx.ones((dim,))

    def __call__(self, x: mx.array) -> mx.array:
        # The reference divides by the vector's length, and at least by 1e-12: that is an eps of
        # 1e-24 / dim for the mean square.
        return mx.fast.rms_norm(x, self.gamma, 1e-24 / x.shape[-1])


class ResidualBlock(nn.Module):
    """Norm, SiLU and a causal convolution, twice, added to the input.

    Where the channels change, the input goes through a 1 x 1 x 1 convolution.
    """

    def __init__(self, in_dim: int, out_dim: int):
        super().__init__()
        self.norm1 = RMSNorm(in_dim)
        self.conv1 = causal(in_dim, out_dim, 3)
        self.norm2 = RMSNorm(out_dim)
        self.conv2 = causal(out_dim, out_dim, 3)
        if in_dim != out_dim:
            self.conv_shortcut = causal(in_dim, out_dim, 1)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        # One expression: a name for an intermediate array would hold it until the end.
        h = self.conv2(silu(self.norm2(self.conv1(silu(self.norm1(x)), stream))), stream)
        return h + (self.conv_shortcut(x) if "conv_shortcut" in self else x)


class AttentionBlock(nn.Module):
    """Self-attention within each frame, with one head, added to the input."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = RMSNorm(dim)
        self.to_qkv = FrameConv2d(dim, 3 * dim, 1)
        self.proj = FrameConv2d(dim, dim, 1)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        b, f, h, w, c = x.shape
        q, k, v = mx.split(self.to_qkv(self.norm(x)).reshape(b * f, 1, h * w, 3 * c), 3, axis=-1)
        return x + self.proj(attend(q, k, v).reshape(x.shape))


class MidBlock(nn.Module):
    """A residual block, attention and another residual block on the coarsest level."""

    def __init__(self, dim: int):
        super().__init__()
        self.resnets = [ResidualBlock(dim, dim), ResidualBlock(dim, dim)]
        self.attentions = [AttentionBlock(dim)]

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        x = self.attentions[0](self.resnets[0](x, stream), stream)
        return self.resnets[1](x, stream)


class PadAfter(nn.Module):
    """One row of zeros below each frame and one column to its right."""

    def __call__(self, x: mx.array) -> mx.array:
        return mx.pad(x, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0)])


class Downsample(nn.Module):
    """Half the width and height; with `in_time` then half the frames, except the clip's first.

    unit: the number of frames that become one.
    """

    def __init__(self, dim: int, in_time: bool):
        super().__init__()
        self.unit = 2 if in_time else 1
        self.resample = [PadAfter(), FrameConv2d(dim, dim, 3, stride=2)]
        if in_time:
            self.time_conv = CausalConv3d(dim, dim, (3, 1, 1), stride=2)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        for step in self.resample:
            x = step(x)
        if "time_conv" not in self:
            return x
        first, rest = stream.split(self, x)
        if first.size:
            # The convolution makes one frame of two and the one before them: here the first.
            stream.extend(self.time_conv, first, 1)
        if not rest.size:
            return first
        return mx.concatenate([first, self.time_conv(rest, stream)], axis=1)


class Upsample(nn.Module):
    """Twice the width and height at half the channels.

    With `in_time` first twice the frames, except the clip's first. That frame is no input of the
    convolution that doubles the others, which has zeros before the second.
    """

    def __init__(self, dim: int, in_time: bool):
        super().__init__()
        self.resample = [nn.Upsample((1, 2, 2)), FrameConv2d(dim, dim // 2, 3, padding=1)]
        if in_time:
            self.time_conv = CausalConv3d(dim, 2 * dim, (3, 1, 1), repeat_first=False)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        if "time_conv" in self:
            first, rest = stream.split(self, x)
            x = first
            if rest.size:
                x = mx.concatenate([first, self._double(rest, stream)], axis=1)
        for step in self.resample:
            x = step(x)
        return x

    def _double(self, x: mx.array, stream: Stream) -> mx.array:
        """[B, F, H, W, C] -> [B, 2F, H, W, C]: a frame's 2C channels are two frames."""
        b, f, h, w, c = x.shape
        x = self.time_conv(x, stream).reshape(b, f, h, w, 2, c)
        return x.transpose(0, 1, 4, 2, 3, 5).reshape(b, 2 * f, h, w, c)


class UpBlock(nn.Module):
    """The decoder's residual blocks of one level, and the upsampling to the next.

    in_time: whether the upsampling is in time too; None: there is none.
    """

    def __init__(self, in_dim: int, out_dim: int, num_res_blocks: int, in_time: bool | None):
        super().__init__()
        widths = [in_dim] + [out_dim] * (num_res_blocks + 1)
        self.resnets = [ResidualBlock(*pair) for pair in pairwise(widths)]
        if in_time is not None:
            self.upsamplers = [Upsample(out_dim, in_time)]

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        for block in (*self.resnets, *self.get("upsamplers", ())):
            x = block(x, stream)
        return x


def in_parts(blocks: Sequence[Layer], x: mx.array, stream: Stream, unit: int = 1) -> mx.array:
    """Apply `blocks` one after the other to a few frames of `x` at a time.

    They are as many as :data:`MAX_POSITIONS` allows, a multiple of `unit`. Where there is one frame
    more than such a multiple, it is the clip's first and goes by itself.
    """
    alone = x.shape[1] % unit
    size = max(unit, MAX_POSITIONS // (x.shape[2] * x.shape[3]) // unit * unit)
    if x.shape[1] <= size + alone:
        return _through(blocks, x, stream)
    parts = []
    for part in chunks(x, size, alone - size if alone else 0):
        y = _through(blocks, part, stream)
        mx.eval(y, stream.arrays())
        parts.append(y)
    return mx.concatenate(parts, axis=1)


def _through(blocks: Sequence[Layer], x: mx.array, stream: Stream) -> mx.array:
    for block in blocks:
        x = block(x, stream)
    return x
