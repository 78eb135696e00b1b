"""What the encoder and the decoder of Wan's VAE are made of: all take and give [B, F, H, W, C] and,
of a long clip, chunk after chunk.

Sources of the maths: Diffusers' ``autoencoder_kl_wan`` and arXiv:2503.20314, section 4.1. Where the
reference counts through a list of caches, each layer here finds its own past in the
:class:`Stream`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.conv import CausalConv3d, FrameConv2d, Stream
from mlxvid.layers.tiling import chunks

# Positions (frames x height x width of a level) that go through a level's blocks at once: all of a
# small picture, of a large one a frame.
MAX_POSITIONS = 2**13
# Attention scores held at once. MLX's fused attention on Metal has no kernel for heads this wide
# and would hold them all.
MAX_SCORES = 2**25


def causal(in_channels: int, out_channels: int, kernel: int) -> CausalConv3d:
    """A causal convolution over kernel x kernel x kernel with zeros before the clip, as all of
    Wan's are.
    """
    return CausalConv3d(in_channels, out_channels, (kernel, kernel, kernel), repeat_first=False)


class RMSNorm(nn.Module):
    """Each position's channels to unit root mean square, times gamma: the reference's WanRMS_norm,
    statistics in float32.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.gamma = mx.ones((dim,))

    def __call__(self, x: mx.array) -> mx.array:
        # The reference divides by the length, or by 1e-12 where it is less: a mean square of 1e-24
        # / dim.
        return mx.fast.rms_norm(x, self.gamma, 1e-24 / x.shape[-1])


class ResidualBlock(nn.Module):
    """Norm, SiLU and a causal convolution, twice, added to the input (through a matrix where the
    channels change).
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
        # One expression: a name for what is between would hold it until the end.
        h = self.conv2(nn.silu(self.norm2(self.conv1(nn.silu(self.norm1(x)), stream))), stream)
        return h + (self.conv_shortcut(x) if "conv_shortcut" in self else x)


class AttentionBlock(nn.Module):
    """One head of attention among the positions of each frame, added to the input; no frame sees
    another.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.norm = RMSNorm(dim)
        self.to_qkv = FrameConv2d(dim, 3 * dim, 1)
        self.proj = FrameConv2d(dim, dim, 1)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        b, f, h, w, c = x.shape
        q, k, v = mx.split(self.to_qkv(self.norm(x)).reshape(b * f, 1, h * w, 3 * c), 3, axis=-1)
        queries = max(1, MAX_SCORES // (b * f * h * w))
        parts = [
            mx.fast.scaled_dot_product_attention(q[:, :, i : i + queries], k, v, scale=c**-0.5)
            for i in range(0, h * w, queries)
        ]
        return x + self.proj(mx.concatenate(parts, axis=2).reshape(x.shape))


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
        return mx.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1), (0, 0)))


class Downsample(nn.Module):
    """Half the width and height; with `in_time` then half the frames, where the clip's first frame
    stays by itself.

    `unit`: the frames that become one.
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
            stream.extend(
                self.time_conv, first, 1
            )  # two frames become one with the frame before them: here the first
        return mx.concatenate([first, self.time_conv(rest, stream)], axis=1) if rest.size else first


class Upsample(nn.Module):
    """Twice the width and height at half the channels; with `in_time` first twice the frames, but
    for the clip's first.

    The first frame is not seen by the convolution that doubles the others: before the second it has
    zeros.
    """

    def __init__(self, dim: int, in_time: bool):
        super().__init__()
        self.resample = [nn.Upsample((1, 2, 2)), FrameConv2d(dim, dim // 2, 3, padding=1)]
        if in_time:
            self.time_conv = CausalConv3d(dim, 2 * dim, (3, 1, 1), repeat_first=False)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        if "time_conv" in self:
            first, rest = stream.split(self, x)
            x = mx.concatenate([first, self._double(rest, stream)], axis=1) if rest.size else first
        for step in self.resample:
            x = step(x)
        return x

    def _double(self, x: mx.array, stream: Stream) -> mx.array:
        """[B, F, H, W, C] -> [B, 2F, H, W, C]: a frame's 2C channels are two frames."""
        b, f, h, w, c = x.shape
        return (
            self.time_conv(x, stream)
            .reshape(b, f, h, w, 2, c)
            .transpose(0, 1, 4, 2, 3, 5)
            .reshape(b, 2 * f, h, w, c)
        )


class UpBlock(nn.Module):
    """The decoder's residual blocks of one level, and the way to the next where there is one
    (`upsample`: in time too?).
    """

    def __init__(self, in_dim: int, out_dim: int, num_res_blocks: int, upsample: bool | None):
        super().__init__()
        self.resnets = [
            ResidualBlock(in_dim if i == 0 else out_dim, out_dim) for i in range(num_res_blocks + 1)
        ]
        if upsample is not None:
            self.upsamplers = [Upsample(out_dim, upsample)]

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        for block in self.resnets + self.get("upsamplers", []):
            x = block(x, stream)
        return x


def in_parts(
    blocks: Sequence[Callable[[mx.array, Stream], mx.array]],
    x: mx.array,
    stream: Stream,
    unit: int = 1,
) -> mx.array:
    """`blocks` one after the other, over as many frames of `x` at a time as :data:`MAX_POSITIONS`
    allows: a multiple of `unit`.

    Where there is one frame more than such a multiple, it is the clip's first and goes by itself.
    """
    alone = x.shape[1] % unit
    size = max(unit, MAX_POSITIONS // (x.shape[2] * x.shape[3]) // unit * unit)
    if x.shape[1] <= size + alone:
        return _through(blocks, x, stream)
    parts = []
    for part in chunks(x, size, alone - size if alone else 0):
        parts.append(_through(blocks, part, stream))
        mx.eval(parts[-1], stream.arrays())
    return mx.concatenate(parts, axis=1)


def _through(
    blocks: Sequence[Callable[[mx.array, Stream], mx.array]], x: mx.array, stream: Stream
) -> mx.array:
    for block in blocks:
        x = block(x, stream)
    return x
