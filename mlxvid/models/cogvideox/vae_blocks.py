"""The blocks of CogVideoX's VAE: all map [B, F, H, W, C], a batch of a clip's frames, to the same.

Sources of the maths: Diffusers' ``autoencoder_kl_cogvideox`` and arXiv:2408.06072, section 2.1; the
decoder's norms are those of arXiv:2209.09002. The norms' statistics are over all frames of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.conv import CausalConv3d, FrameConv2d, Stream
from mlxvid.layers.frame_parts import GroupNorm, in_parts
from mlxvid.layers.processor import silu


class CausalConv(nn.Module):
    """A causal convolution over kernel^3 positions, which the checkpoint has one name deeper."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3):
        super().__init__()
        self.conv = CausalConv3d(in_channels, out_channels, (kernel, kernel, kernel))

    def __call__(self, x: mx.array, stream: Stream | None = None) -> mx.array:
        return self.conv(x, stream)


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
"""norm(x), or norm(x, zq): what `x` is multiplied by and what is added, for all frames or each."""


def convolved(
    norm: Norm, conv: CausalConv, x: mx.array, stream: Stream, zq: mx.array | None = None
) -> mx.array:
    """The norm, SiLU and the convolution of `x`."""
    scale, shift = norm(x) if zq is None else norm(x, zq)
    frames = x.shape[1]
    if zq is None:  # the same for all frames
        shape = (x.shape[0], frames, 1, 1, x.shape[-1])
        scale = mx.broadcast_to(scale, shape)
        shift = mx.broadcast_to(shift, shape)

    def layer(part: mx.array, of: slice) -> mx.array:
        return conv(silu(_scaled(part, scale[:, of], shift[:, of])), stream)

    return in_parts(layer, x, frames)


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

        return in_parts(layer, x, x.shape[1])


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
            return in_parts(lambda part, _: self.conv(_doubled(part)), x, x.shape[1])
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
