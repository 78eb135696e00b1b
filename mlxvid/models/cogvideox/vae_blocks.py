"""The blocks of CogVideoX's VAE: all map [B, F, H, W, C], a batch of a clip's frames, to the same.

Sources of the maths: Diffusers' ``autoencoder_kl_cogvideox`` and arXiv:2408.06072, section 2.1; the
decoder's norms are those of arXiv:2209.09002. The norms' statistics are over all frames of a batch,
so each layer needs the whole batch before the next: within a layer a few frames go at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers import bounds
from mlxvid.layers.conv import CausalConv3d, FrameConv2d, Stream
from mlxvid.layers.tiling import chunks

# Positions (frames x height x width) that a layer works on at once, but one frame at least.
POSITIONS = 2**16
NORM_EPS = 1e-6


def parts_of(x: mx.array) -> Iterator[mx.array]:
    """`x` [B, F, H, W, C] in parts of as many frames as :data:`POSITIONS` allows."""
    b, _, h, w, _ = x.shape
    return chunks(x, max(1, int(POSITIONS * bounds.share()) // (b * h * w)))


def in_parts(
    layer: Callable[[mx.array, slice], mx.array], x: mx.array, frames: int | None = None
) -> mx.array:
    """Apply `layer(part, of)` to a few frames of `x` at a time, each evaluated where it isn't all.

    of: which frames they are. frames: of the result, as many as of `x` unless given.
    """
    total = frames or x.shape[1]
    made = mx.zeros(0)
    start = 0
    place = 0
    for part in parts_of(x):
        y = layer(part, slice(start, start + part.shape[1]))
        if y.shape[1] == total:
            return y
        if not start:
            made = mx.zeros((y.shape[0], total, *y.shape[2:]), y.dtype)
        # In place: joined at the end, the parts would take as much again.
        made[:, place : place + y.shape[1]] = y
        mx.eval(made)
        start += part.shape[1]
        place += y.shape[1]
    return made


class CausalConv(nn.Module):
    """A causal convolution over kernel^3 positions, which the checkpoint has one name deeper."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3):
        super().__init__()
        self.conv = CausalConv3d(in_channels, out_channels, (kernel, kernel, kernel))

    def __call__(self, x: mx.array, stream: Stream | None = None) -> mx.array:
        return self.conv(x, stream)


class GroupNorm(nn.Module):
    """A group norm as what its input is multiplied by and added to, in float32.

    Both are [B, F, 1, 1, C], and equal for all frames: the statistics are over all of them.
    """

    def __init__(self, groups: int, channels: int):
        super().__init__()
        self.groups = groups
        self.weight = mx.ones((channels,))
        self.bias = mx.zeros((channels,))

    def __call__(self, x: mx.array) -> tuple[mx.array, mx.array]:
        mean = self._mean(x)
        deviation = mx.rsqrt(self._mean(x, mean) + NORM_EPS)
        scale = deviation * self.weight
        return scale, self.bias - mean * scale

    def _mean(self, x: mx.array, centre: mx.array | None = None) -> mx.array:
        """The mean of each channel's group; with a `centre` that of the squares around it."""
        frames = []
        for part in parts_of(x):
            part = part.astype(mx.float32)
            if centre is not None:
                part = mx.square(part - centre[:, :1])
            # Row by row, then the rows: one sum of millions of values would not be exact.
            frame = part.mean(axis=3).mean(axis=2)
            mx.eval(frame)
            frames.append(frame)
        channels = mx.concatenate(frames, axis=1).mean(axis=1)
        b, c = channels.shape
        groups = channels.reshape(b, self.groups, -1).mean(axis=-1)
        mean = mx.repeat(groups, c // self.groups, axis=-1).reshape(b, 1, 1, 1, c)
        return mx.broadcast_to(mean, (b, x.shape[1], 1, 1, c))


class SpatialNorm(nn.Module):
    """A group norm whose weight and bias also depend on the latents `zq` at each place.

    Both of what it returns are [B, F, h, w, C] for latents of h x w: each latent position holds for
    all positions of `x` that become of it, which is the reference's nearest resizing. Its
    convolutions see one position each, so they come before the resizing.
    """

    def __init__(self, groups: int, channels: int, zq_channels: int):
        super().__init__()
        self.norm_layer = GroupNorm(groups, channels)
        self.conv_y = CausalConv(zq_channels, channels, 1)
        self.conv_b = CausalConv(zq_channels, channels, 1)

    def __call__(self, x: mx.array, zq: mx.array) -> tuple[mx.array, mx.array]:
        scale, shift = self.norm_layer(x)
        frames = mx.array(latent_frames(x.shape[1], zq.shape[1]))
        y = self.conv_y(zq)[:, frames]
        b = self.conv_b(zq)[:, frames]
        return scale * y, shift * y + b


def latent_frames(frames: int, latents: int) -> list[int]:
    """Of each of a batch's frames, the latent frame that it comes of."""
    if frames == 1 or frames % 2 == 0:
        return [i * latents // frames for i in range(frames)]
    return [0] + [1 + i * (latents - 1) // (frames - 1) for i in range(frames - 1)]


Norm = Callable[..., tuple[mx.array, mx.array]]
"""norm(x), or norm(x, zq): what `x` is multiplied by and what is added, as GroupNorm has it."""


def convolved(
    norm: Norm, conv: CausalConv, x: mx.array, stream: Stream, zq: mx.array | None = None
) -> mx.array:
    """The norm, SiLU and the convolution of `x`."""
    scale, shift = norm(x) if zq is None else norm(x, zq)

    def layer(part: mx.array, of: slice) -> mx.array:
        return conv(nn.silu(_scaled(part, scale[:, of], shift[:, of])), stream)

    return in_parts(layer, x)


def _scaled(x: mx.array, scale: mx.array, shift: mx.array) -> mx.array:
    """x * scale + shift, where each position of `scale` and `shift` holds for a square of `x`."""
    b, f, height, width, c = x.shape
    h, w = scale.shape[2:4]
    squares = x.reshape(b, f, h, height // h, w, width // w, c)
    places = (slice(None), slice(None), slice(None), None, slice(None), None)
    return (squares * scale[places] + shift[places]).reshape(x.shape).astype(x.dtype)


class ResnetBlock(nn.Module):
    """Norm, SiLU and a causal convolution, twice, added to the input.

    Where the channels change, the input goes through a 1 x 1 x 1 convolution. zq_channels: of the
    latents that the decoder's norms depend on.
    """

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, zq_channels: int | None = None
    ):
        super().__init__()
        self.norm1 = norm_of(groups, in_channels, zq_channels)
        self.conv1 = CausalConv(in_channels, out_channels)
        self.norm2 = norm_of(groups, out_channels, zq_channels)
        self.conv2 = CausalConv(out_channels, out_channels)
        if in_channels != out_channels:
            self.conv_shortcut = CausalConv3d(in_channels, out_channels, (1, 1, 1))

    def __call__(self, x: mx.array, stream: Stream, zq: mx.array | None = None) -> mx.array:
        h = convolved(self.norm1, self.conv1, x, stream, zq)
        h = convolved(self.norm2, self.conv2, h, stream, zq)
        return h + (self.conv_shortcut(x) if "conv_shortcut" in self else x)


def norm_of(groups: int, channels: int, zq_channels: int | None) -> Norm:
    if zq_channels is None:
        return GroupNorm(groups, channels)
    return SpatialNorm(groups, channels, zq_channels)


class MidBlock(nn.Module):
    """Two residual blocks on the coarsest level."""

    def __init__(self, channels: int, groups: int, zq_channels: int | None = None):
        super().__init__()
        self.resnets = [ResnetBlock(channels, channels, groups, zq_channels) for _ in range(2)]

    def __call__(self, x: mx.array, stream: Stream, zq: mx.array | None = None) -> mx.array:
        for block in self.resnets:
            x = block(x, stream, zq)
        return x


class Downsample(nn.Module):
    """Half the width and height; with `in_time` first the means of pairs of frames.

    The first of an odd number of frames stays alone.
    """

    def __init__(self, channels: int, in_time: bool):
        super().__init__()
        self.in_time = in_time
        self.conv = FrameConv2d(channels, channels, 3, stride=2)

    def __call__(self, x: mx.array) -> mx.array:
        if self.in_time:
            first, rest = mx.split(x, [x.shape[1] % 2], axis=1)
            x = mx.concatenate([first, (rest[:, ::2] + rest[:, 1::2]) / 2], axis=1)

        def layer(part: mx.array, of: slice) -> mx.array:
            return self.conv(mx.pad(part, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0)]))

        return in_parts(layer, x)


class Upsample(nn.Module):
    """Twice the width and height, nearest, then a convolution; with `in_time` twice the frames.

    The first of an odd number of frames stays alone. Frames are doubled after the convolution,
    which sees each by itself.
    """

    def __init__(self, channels: int, in_time: bool):
        super().__init__()
        self.in_time = in_time
        self.conv = FrameConv2d(channels, channels, 3, padding=1)

    def __call__(self, x: mx.array) -> mx.array:
        if not self.in_time:
            return in_parts(lambda part, _: self.conv(_doubled(part)), x)
        alone = x.shape[1] % 2

        def layer(part: mx.array, of: slice) -> mx.array:
            y = self.conv(_doubled(part))
            first, rest = mx.split(y, [alone if of.start == 0 else 0], axis=1)
            return mx.concatenate([first, mx.repeat(rest, 2, axis=1)], axis=1)

        return in_parts(layer, x, 2 * x.shape[1] - alone)


def _doubled(x: mx.array) -> mx.array:
    b, f, h, w, c = x.shape
    x = mx.broadcast_to(x[:, :, :, None, :, None], (b, f, h, 2, w, 2, c))
    return x.reshape(b, f, 2 * h, 2 * w, c)


class Level(nn.Module):
    """The residual blocks of one resolution.

    Its owner adds the layer that leads to the next: `downsamplers` or `upsamplers`, lists of one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        count: int,
        groups: int,
        zq_channels: int | None = None,
    ):
        super().__init__()
        widths = [in_channels] + [out_channels] * count
        self.resnets = [ResnetBlock(*pair, groups, zq_channels) for pair in pairwise(widths)]

    def __call__(self, x: mx.array, stream: Stream, zq: mx.array | None = None) -> mx.array:
        for block in self.resnets:
            x = block(x, stream, zq)
        for layer in (*self.get("downsamplers", ()), *self.get("upsamplers", ())):
            x = layer(x)
        return x
