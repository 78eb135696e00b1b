"""The causal convolution of the video VAEs, and what it remembers between the chunks of one clip."""

from __future__ import annotations

import math

import mlx.core as mx
import mlx.nn as nn


class Stream:
    """The frames that each causal layer must still see of a clip that comes in temporal chunks.

    Hand the same Stream to every chunk, in order, and the result equals one pass over the whole clip.
    """

    def __init__(self):
        self._past: dict[int, mx.array] = {}

    @property
    def started(self) -> bool:
        """Whether a chunk has gone through already."""
        return bool(self._past)

    def extend(self, layer: nn.Module, x: mx.array, count: int) -> mx.array:
        """`x` [B, F, H, W, C] with the `count` frames before it; before the first frame stands the first again."""
        past = self._past.get(id(layer))
        joined = mx.concatenate([_first(x, count) if past is None else past, x], axis=1)
        self._past[id(layer)] = joined[:, joined.shape[1] - count :]
        return joined

    def arrays(self) -> list[mx.array]:
        """What is remembered, to be evaluated with the chunk: else each chunk's graph would hold all that came before."""
        return list(self._past.values())


def _first(x: mx.array, count: int) -> mx.array:
    return mx.broadcast_to(x[:, :1], (x.shape[0], count, *x.shape[2:]))


class CausalConv3d(nn.Module):
    """A (k_t, k_h, k_w) convolution of [B, F, H, W, C] that sees the past and the present, never the future.

    In time the first frame stands for all before it; in space the border is zero. The weight is [out, k_t, k_h, k_w, in]
    (PyTorch's [out, in, k_t, k_h, k_w] with the input channels moved last, see :func:`channels_last`).
    It is computed as a sum over k_t of 2D convolutions a frame, or matrix products where k_h = k_w = 1: MLX's conv3d on Metal
    has been 2-5x slower than that sum (ml-explore/mlx#3625).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int, int], bias: bool = True):
        super().__init__()
        bound = 1 / math.sqrt(in_channels * math.prod(kernel))
        self.weight = mx.random.uniform(-bound, bound, (out_channels, *kernel, in_channels))
        if bias:
            self.bias = mx.zeros((out_channels,))

    def __call__(self, x: mx.array, stream: Stream | None = None) -> mx.array:
        k_t, k_h, k_w = self.weight.shape[1:4]
        frames = x.shape[1]
        if k_t > 1:
            x = (stream or Stream()).extend(self, x, k_t - 1)
        if k_h == k_w == 1:
            taps = mx.concatenate([x[:, i : i + frames] for i in range(k_t)], axis=-1)
            y = taps @ self.weight.reshape(self.weight.shape[0], -1).T
        else:
            b, _, h, w, c = x.shape
            y = sum(
                mx.conv2d(x[:, i : i + frames].reshape(b * frames, h, w, c), self.weight[:, i], padding=(k_h // 2, k_w // 2))
                for i in range(k_t)
            ).reshape(b, frames, h, w, -1)
        return y + self.bias if "bias" in self else y


def channels_last(weight: mx.array) -> mx.array:
    """A PyTorch convolution weight [out, in, ...] as MLX has it, [out, ..., in]; other arrays as they are."""
    return mx.moveaxis(weight, 1, -1) if weight.ndim > 2 else weight
