"""The blocks of HunyuanVideo's VAE: each maps a piece of a clip, [B, F, H, W, C], to the same.

Sources of the maths: Diffusers' ``autoencoder_kl_hunyuan_video`` and arXiv:2412.03603, section 4.1.
The norms' statistics and the attention are over all frames of a piece, so each layer needs the
whole piece before the next.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers import bounds
from mlxvid.layers.attention import attend
from mlxvid.layers.conv import CausalConv3d, Stream
from mlxvid.layers.frame_parts import GroupNorm, in_parts
from mlxvid.layers.processor import silu


class CausalConv(nn.Module):
    """A causal convolution that repeats the outermost positions and the first frame.

    The checkpoint has it one name deeper.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        space_stride: int = 1,
    ):
        super().__init__()
        self.conv = CausalConv3d(
            in_channels,
            out_channels,
            (kernel, kernel, kernel),
            stride=stride,
            space_stride=space_stride,
            repeat_sides=True,
            one_by_one=True,
        )

    def __call__(self, x: mx.array, stream: Stream | None = None) -> mx.array:
        return self.conv(x, stream)


def convolved(conv: CausalConv, x: mx.array) -> mx.array:
    """The convolution of a piece, a few frames at a time."""
    stream = Stream()
    return in_parts(lambda part, _: conv(part, stream), x, x.shape[1])


def normed(
    norm: GroupNorm,
    conv: CausalConv,
    x: mx.array,
    kept: Callable[[slice], mx.array] | None = None,
) -> mx.array:
    """The norm, SiLU and the convolution of `x`. kept: of some frames, what is added to them."""
    stream = Stream()
    scale, shift = norm(x)

    def layer(part: mx.array, of: slice) -> mx.array:
        y = conv(silu(part * scale + shift).astype(part.dtype), stream)
        return y if kept is None else y + kept(of)

    return in_parts(layer, x, x.shape[1])


class ResnetBlock(nn.Module):
    """Norm, SiLU and a causal convolution, twice, added to the input.

    Where the channels change, the input goes through a 1 x 1 x 1 convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.norm1 = GroupNorm(groups, in_channels)
        self.conv1 = CausalConv(in_channels, out_channels)
        self.norm2 = GroupNorm(groups, out_channels)
        self.conv2 = CausalConv(out_channels, out_channels)
        if in_channels != out_channels:
            self.conv_shortcut = CausalConv(in_channels, out_channels, 1)

    def __call__(self, x: mx.array) -> mx.array:
        def kept(of: slice) -> mx.array:
            part = x[:, of]
            return self.conv_shortcut(part) if "conv_shortcut" in self else part

        return normed(self.norm2, self.conv2, normed(self.norm1, self.conv1, x), kept)


class Attention(nn.Module):
    """Attention with one head, added to the input: of each frame to itself and to earlier ones.

    Queries come frame by frame, with the keys that they see: there is no mask.
    """

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.group_norm = GroupNorm(groups, channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = [nn.Linear(channels, channels)]

    def __call__(self, x: mx.array) -> mx.array:
        b, f, h, w, c = x.shape
        scale, shift = self.group_norm(x)
        tokens = (x * scale + shift).astype(x.dtype).reshape(b, 1, f * h * w, c)
        q = bounds.linear(self.to_q, tokens)
        k = bounds.linear(self.to_k, tokens)
        v = bounds.linear(self.to_v, tokens)
        parts = []
        for frame in range(f):
            seen = (frame + 1) * h * w
            part = attend(q[:, :, seen - h * w : seen], k[:, :, :seen], v[:, :, :seen])
            bounds.evaluate(part)
            parts.append(part)
        out = bounds.linear(self.to_out[0], mx.concatenate(parts, axis=2))
        return x + out.reshape(x.shape)


class MidBlock(nn.Module):
    """Two residual blocks on the coarsest level, with attention between them if `attended`."""

    def __init__(self, channels: int, groups: int, attended: bool):
        super().__init__()
        self.resnets = [ResnetBlock(channels, channels, groups) for _ in range(2)]
        if attended:
            self.attentions = [Attention(channels, groups)]

    def __call__(self, x: mx.array) -> mx.array:
        x = self.resnets[0](x)
        if "attentions" in self:
            x = self.attentions[0](x)
        return self.resnets[1](x)


class Downsample(nn.Module):
    """Half the width and height; with `in_time` 1 + 2k frames become 1 + k."""

    def __init__(self, channels: int, in_time: bool):
        super().__init__()
        self.in_time = in_time
        self.conv = CausalConv(channels, channels, stride=2 if in_time else 1, space_stride=2)

    def __call__(self, x: mx.array) -> mx.array:
        stream = Stream()
        if not self.in_time:
            return in_parts(lambda part, _: self.conv(part, stream), x, x.shape[1])
        # The reference has two frames before the first; the convolution itself adds only one.
        x = mx.concatenate([x[:, :1], x], axis=1)
        return in_parts(lambda part, _: self.conv(part, stream), x, x.shape[1] // 2, unit=2)


class Upsample(nn.Module):
    """Twice the width and height, nearest; with `in_time` 1 + k frames become 1 + 2k.

    Then a causal convolution.
    """

    def __init__(self, channels: int, in_time: bool):
        super().__init__()
        self.in_time = in_time
        self.conv = CausalConv(channels, channels)

    def __call__(self, x: mx.array) -> mx.array:
        stream = Stream()

        def layer(part: mx.array, of: slice) -> mx.array:
            if self.in_time:
                first, rest = mx.split(part, [0 if of.start else 1], axis=1)
                part = mx.concatenate([first, mx.repeat(rest, 2, axis=1)], axis=1)
            b, f, h, w, c = part.shape
            squares = mx.broadcast_to(part[:, :, :, None, :, None], (b, f, h, 2, w, 2, c))
            return self.conv(squares.reshape(b, f, 2 * h, 2 * w, c), stream)

        if self.in_time:
            return in_parts(layer, x, 2 * x.shape[1] - 1, up=8)
        return in_parts(layer, x, x.shape[1], up=4)


class Level(nn.Module):
    """The layers of one resolution: residual blocks, and what its owner adds after them.

    That leads to the next resolution: `downsamplers` or `upsamplers`, lists of one.
    """

    def __init__(self, in_channels: int, out_channels: int, count: int, groups: int):
        super().__init__()
        widths = [in_channels] + [out_channels] * count
        self.resnets = [ResnetBlock(*pair, groups) for pair in pairwise(widths)]

    @property
    def layers(self) -> list[nn.Module]:
        return [*self.resnets, *self.get("downsamplers", ()), *self.get("upsamplers", ())]


def through(levels: list[Level], x: mx.array) -> mx.array:
    """`x` through the layers of all levels, of which only the one at work holds its input."""
    for layer in chain.from_iterable(level.layers for level in levels):
        x = layer(x)
    return x
