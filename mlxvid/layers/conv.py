"""The causal convolution of the video VAEs, and what it remembers between the chunks of one clip."""

from __future__ import annotations

import math
from functools import reduce
from operator import add

import mlx.core as mx
import mlx.nn as nn

# MLX's conv2d on Metal gave zeros, silently, for inputs above about 1.6e9 values
# (ml-explore/mlx#3979): it gets no more than this at once.
MAX_VALUES = 2**29
# MLX works ahead and holds the arrays of many operations at once. Where they are larger than this,
# each layer's input is waited for.
MAX_LAZY_VALUES = 2**20


class Stream:
    """The frames that each causal layer must still see of a clip that comes in temporal chunks.

    Hand the same Stream to every chunk, in order, and the result equals one pass over the whole
    clip.
    """

    def __init__(self):
        self._past: dict[int, mx.array] = {}
        self._begun: set[int] = set()

    @property
    def started(self) -> bool:
        """Whether a chunk has gone through already."""
        return bool(self._past)

    def extend(self, layer: nn.Module, x: mx.array, count: int) -> mx.array:
        """`x` [B, F, H, W, C] with the `count` frames before it, or as many as the clip has had."""
        past = self._past.get(id(layer))
        joined = x if past is None else mx.concatenate([past, x], axis=1)
        # A slice would keep the buffer of all the frames; only a copy lets go of it, made before
        # the layer goes on and not at the end.
        kept = self._past[id(layer)] = mx.contiguous(joined[:, -count:])
        if joined.size <= MAX_LAZY_VALUES:
            return mx.depends(joined, kept)
        mx.eval(joined, kept)
        return joined

    def split(self, layer: nn.Module, x: mx.array) -> tuple[mx.array, mx.array]:
        """The clip's first frame and the frames of `x` after it; in later chunks no frame and all
        of `x`. Asked once a chunk.
        """
        first = int(id(layer) not in self._begun)
        self._begun.add(id(layer))
        return x[:, :first], x[:, first:]

    def arrays(self) -> list[mx.array]:
        """What is remembered, to be evaluated with the chunk: else each chunk's graph would hold
        all that came before.
        """
        return list(self._past.values())


class CausalConv3d(nn.Module):
    """A (k_t, k_h, k_w) convolution of [B, F, H, W, C] that sees the past and the present, never
    the future.

    Before the first frame stands that frame again, or zeros unless `repeat_first`; in space the
    border is zero. With a `stride` in time there is one result for that many frames, and each chunk
    must be a multiple of it. The weight is [out, k_t, k_h, k_w, in] (PyTorch's [out, in, k_t, k_h,
    k_w] with the input channels moved last, see :func:`channels_last`). It is computed as a sum
    over k_t of 2D convolutions a frame, or one matrix product where k_h = k_w = 1: MLX's conv3d on
    Metal has been 2-5x slower than that sum (ml-explore/mlx#3625).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int, int],
        bias: bool = True,
        stride: int = 1,
        repeat_first: bool = True,
    ):
        super().__init__()
        self.stride = stride
        self.repeat_first = repeat_first
        bound = 1 / math.sqrt(in_channels * math.prod(kernel))
        self.weight = mx.random.uniform(-bound, bound, (out_channels, *kernel, in_channels))
        if bias:
            self.bias = mx.zeros((out_channels,))

    def __call__(self, x: mx.array, stream: Stream | None = None) -> mx.array:
        k_t, k_h, k_w = self.weight.shape[1:4]
        frames, context, missing = x.shape[1], k_t - self.stride, 0
        if context:
            x = (stream or Stream()).extend(self, x, context)
            missing = context + frames - x.shape[1]
        if missing:
            before = mx.broadcast_to(x[:, :1], (x.shape[0], missing, *x.shape[2:]))
            x = mx.concatenate([before if self.repeat_first else mx.zeros_like(before), x], axis=1)
        # The first taps of a short chunk meet nothing but the zeros before the clip, and add
        # nothing.
        idle = 0 if self.repeat_first else max(0, missing - frames + 1)
        seen = [x[:, i : i + frames : self.stride] for i in range(idle, k_t)]
        if k_h == k_w == 1:
            y = (
                mx.concatenate(seen, axis=-1)
                @ self.weight[:, idle:].reshape(self.weight.shape[0], -1).T
            )
        else:
            padding = (k_h // 2, k_w // 2)
            y = reduce(
                add,
                (
                    conv_frames(part, self.weight[:, i], padding=padding)
                    for i, part in enumerate(seen, idle)
                ),
            )
        return y + self.bias if "bias" in self else y


class FrameConv2d(nn.Conv2d):
    """A 2D convolution of each frame of [B, F, H, W, C]."""

    def __call__(self, x: mx.array) -> mx.array:
        y = conv_frames(x, self.weight, self.stride, self.padding)
        return y + self.bias if "bias" in self else y


def conv_frames(
    x: mx.array,
    weight: mx.array,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> mx.array:
    """Each frame of [B, F, H, W, C] convolved with [out, k_h, k_w, C], as many frames at a time as
    `MAX_VALUES` allows.
    """
    images = x.reshape(-1, *x.shape[2:])
    at_once = max(1, MAX_VALUES // math.prod(x.shape[2:]))
    parts = [
        mx.conv2d(images[i : i + at_once], weight, stride, padding)
        for i in range(0, images.shape[0], at_once)
    ]
    y = mx.concatenate(parts)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def channels_last(weight: mx.array) -> mx.array:
    """A PyTorch convolution weight [out, in, ...] as MLX has it, [out, ..., in]; other arrays as
    they are.
    """
    return mx.moveaxis(weight, 1, -1) if weight.ndim > 2 else weight
