"""The blocks of LTX-Video's VAEs: all map [B, F, H, W, C] to the same, and a clip part by part.

Names and maths are those of Diffusers' ``autoencoder_kl_ltx`` (LTX-Video: arXiv:2501.00103). The
encoder's blocks are causal, the decoder's see future frames.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.conv import CausalConv3d, CentredConv3d, Stream
from mlxvid.layers.processor import silu

Noise = Callable[[int, mx.array], mx.array]
"""noise(number, x): of the block's first or second convolution, [H, W] for x [B, F, H, W, C]."""


class CausalConv(nn.Module):
    """A causal 3x3x3 convolution, under the reference's name.

    stride: of all axes. Then the clip's first frame has a result of its own.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.conv = CausalConv3d(
            in_channels,
            out_channels,
            (3, 3, 3),
            stride=stride,
            space_stride=stride,
            one_by_one=True,
        )

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        if self.stride > 1:
            x = stream.grouped(self, x, self.stride)
        return self.conv(x, stream) if x.shape[1] else x


class CentredConv(nn.Module):
    """A convolution over kernel^3 positions, past and future, under the reference's name."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3):
        super().__init__()
        self.conv = CentredConv3d(in_channels, out_channels, (kernel, kernel, kernel))

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        return self.conv(x, stream)


def pixel_norm(x: mx.array) -> mx.array:
    """Each position's channels at a mean square of 1; the statistics are in float32."""
    return mx.fast.rms_norm(x, None, 1e-8)


class Shortcut(nn.Module):
    """What a residual block adds to: its input, at its own width."""

    def __init__(self, in_channels: int, out_channels: int, eps: float):
        super().__init__()
        if in_channels != out_channels:
            self.norm3 = nn.LayerNorm(in_channels, eps)
            self.conv_shortcut = CentredConv(in_channels, out_channels, kernel=1)

    def shortcut(self, x: mx.array) -> mx.array:
        return self.conv_shortcut.conv(self.norm3(x)) if "norm3" in self else x


class CausalResnet(Shortcut):
    """Norm, SiLU and a causal convolution, twice, added to the input."""

    def __init__(self, in_channels: int, out_channels: int, eps: float):
        super().__init__(in_channels, out_channels, eps)
        self.conv1 = CausalConv(in_channels, out_channels)
        self.conv2 = CausalConv(out_channels, out_channels)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        h = self.conv1(silu(pixel_norm(x)), stream)
        return self.conv2(silu(pixel_norm(h)), stream) + self.shortcut(x)


class Downsampler(nn.Module):
    """A causal convolution whose results' frames, rows and columns go to channels.

    Added to it are the means of as many neighbours of the input. The clip's first frame has a
    result of its own.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: tuple[int, int, int]):
        super().__init__()
        self.stride = stride
        self.conv = CausalConv(in_channels, out_channels // prod(stride))

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        x = stream.grouped(self, x, self.stride[0])
        if not x.shape[1]:
            return x
        h = to_channels(self.conv(x, stream), self.stride)
        means = to_channels(x, self.stride)
        return h + means.reshape(*h.shape, -1).mean(axis=-1)


class CentredResnet(Shortcut):
    """Norm, SiLU and a convolution that sees future frames, twice, added to the input.

    timed: a time's shifts and scales follow the norms. noisy: noise is added to the convolutions'
    results, the same to all frames.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        eps: float,
        timed: bool = False,
        noisy: bool = False,
    ):
        super().__init__(in_channels, out_channels, eps)
        self.noisy = noisy
        self.conv1 = CentredConv(in_channels, out_channels)
        self.conv2 = CentredConv(out_channels, out_channels)
        if noisy:
            self.per_channel_scale1 = mx.zeros((in_channels,))
            self.per_channel_scale2 = mx.zeros((in_channels,))
        if timed:
            self.scale_shift_table = mx.zeros((4, in_channels))

    def __call__(
        self, x: mx.array, stream: Stream, time: mx.array | None = None, noise: Noise | None = None
    ) -> mx.array:
        """time: embedded, [B, 4C]. noise: None for none."""
        tables = shifts_and_scales(time, self.scale_shift_table) if time is not None else None
        x = stream.surround(self, x, 1)
        h = pixel_norm(x)
        if tables is not None:
            h = h * (1 + tables[1]) + tables[0]
        h = self.conv1.conv.within(silu(h))
        if not h.shape[1]:  # it waits for a frame; Metal has no kernels for nothing
            return self.conv2.conv.within(h)
        if noise is not None:
            h = h + noise(0, h) * self.per_channel_scale1
        h = pixel_norm(h)
        if tables is not None:
            h = h * (1 + tables[3]) + tables[2]
        h = self.conv2(silu(h), stream)
        if not h.shape[1]:
            return h
        if noise is not None:
            h = h + noise(1, h) * self.per_channel_scale2
        # Each convolution is a frame late.
        return h + self.shortcut(stream.behind(x, h.shape[1], lag=2))


class Upsampler(nn.Module):
    """A convolution that sees future frames, whose channels go to frames, rows and columns.

    All are doubled; of the clip's first two frames the first is left out. With `residual` the
    input's channels go there too, are repeated and added. factor: the input's channels over the
    result's.
    """

    def __init__(self, in_channels: int, factor: int, residual: bool):
        super().__init__()
        self.repeats = 8 // factor if residual else 0
        self.conv = CentredConv(in_channels, 8 * in_channels // factor)

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        x = stream.surround(self, x, 1)
        h = self.conv.conv.within(x)
        count = h.shape[1]
        if not count:  # it waits for a frame
            return h
        h = from_channels(h)
        if self.repeats:
            rest = from_channels(stream.behind(x, count, lag=1))
            h = h + mx.tile(rest, (1, 1, 1, 1, self.repeats))
        return stream.split(self, h)[1]


def shifts_and_scales(time: mx.array, table: mx.array) -> list[mx.array]:
    """The rows of `table` [n, C], each added to its part of `time` [B, nC]: [B, 1, 1, 1, C]."""
    rows = time.reshape(len(time), 1, 1, 1, *table.shape) + table
    return [rows[..., number, :] for number in range(len(table))]


def to_channels(x: mx.array, stride: tuple[int, int, int]) -> mx.array:
    """Neighbouring frames, rows and columns of [B, F, H, W, C] as channels, C before them."""
    b, f, h, w, c = x.shape
    t, p, q = stride
    x = x.reshape(b, f // t, t, h // p, p, w // q, q, c)
    return x.transpose(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, f // t, h // p, w // q, -1)


def from_channels(x: mx.array, stride: tuple[int, int, int] = (2, 2, 2)) -> mx.array:
    """The reverse of :func:`to_channels`: [B, F, H, W, nC] -> [B, tF, pH, qW, C] of n = tpq."""
    b, f, h, w, c = x.shape
    t, p, q = stride
    c //= prod(stride)
    x = x.reshape(b, f, h, w, c, t, p, q).transpose(0, 1, 5, 2, 6, 3, 7, 4)
    return x.reshape(b, t * f, p * h, q * w, c)
