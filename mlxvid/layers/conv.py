"""The causal convolution of video VAEs, and the frames it keeps between the chunks of a clip."""

from __future__ import annotations

import math

import mlx.core as mx
import mlx.nn as nn

from . import bounds

# MLX's conv2d on Metal gave zeros, silently, for inputs above about 1.6e9 values
# (ml-explore/mlx#3979): it gets no more than this at once.
MAX_VALUES = 2**29
# MLX works ahead and holds the arrays of many operations at once. Where they are larger than this,
# each layer's input is evaluated first.
MAX_LAZY_VALUES = 2**20


class Stream:
    """The past frames that each causal layer needs of a clip that comes in temporal chunks.

    Pass the same Stream with every chunk, in order, and the result equals one pass over the whole
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
        """`x` [B, F, H, W, C] with the `count` frames before it, or as many as there have been."""
        past = self._past.get(id(layer))
        joined = x if past is None else mx.concatenate([past, x], axis=1)
        # A slice would keep the buffer of all the frames. Only a copy releases it, if made before
        # the layer goes on.
        kept = mx.contiguous(joined[:, -count:])
        self._past[id(layer)] = kept
        if joined.size <= MAX_LAZY_VALUES:
            return mx.depends(joined, kept)
        mx.eval(joined, kept)
        return joined

    def split(self, layer: nn.Module, x: mx.array) -> tuple[mx.array, mx.array]:
        """The clip's first frame, and the frames of `x` after it.

        In later chunks: no frame, and all of `x`. Call it once a chunk for each layer.
        """
        first = 0 if id(layer) in self._begun else 1
        self._begun.add(id(layer))
        return x[:, :first], x[:, first:]

    def arrays(self) -> list[mx.array]:
        """All kept frames, to be evaluated with each chunk.

        Otherwise each chunk's graph would hold everything before it.
        """
        return list(self._past.values())


class CausalConv3d(nn.Module):
    """A (k_t, k_h, k_w) convolution of [B, F, H, W, C] over past and present frames only.

    The padding in time is the first frame, repeated, or zeros unless `repeat_first`; in space it
    is zeros. With a `stride` in time there is one result for that many frames, and each chunk must
    be a multiple of it. The weight is [out, k_t, k_h, k_w, in] (PyTorch's [out, in, k_t, k_h, k_w]
    with the input channels moved last, see :func:`channels_last`).

    It is computed as a sum over k_t of 2D convolutions of frames, or as one matrix product where
    k_h = k_w = 1: MLX's conv3d on Metal has been 2-5x slower than that sum (ml-explore/mlx#3625).
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
        frames = x.shape[1]
        context = k_t - self.stride
        missing = 0  # context frames before the clip's first frame
        if context:
            x = (stream or Stream()).extend(self, x, context)
            missing = context + frames - x.shape[1]
        if missing:
            before = mx.broadcast_to(x[:, :1], (x.shape[0], missing, *x.shape[2:]))
            if not self.repeat_first:
                before = mx.zeros_like(before)
            x = mx.concatenate([before, x], axis=1)
        # In a short chunk the first taps meet only the zeros before the clip: they are left out.
        idle = 0 if self.repeat_first else max(0, missing - frames + 1)
        taps = range(idle, k_t)
        inputs = [x[:, tap : tap + frames : self.stride] for tap in taps]
        if k_h == k_w == 1:
            matrix = self.weight[:, idle:].reshape(self.weight.shape[0], -1)
            y = mx.concatenate(inputs, axis=-1) @ matrix.T
        else:
            padding = (k_h // 2, k_w // 2)
            y = conv_frames(inputs[0], self.weight[:, idle], padding=padding)
            for tap, part in zip(taps[1:], inputs[1:], strict=True):
                y = y + conv_frames(part, self.weight[:, tap], padding=padding)
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
    """Convolve each frame of [B, F, H, W, C] with a weight [out, k_h, k_w, C].

    As many frames at a time as :data:`MAX_VALUES` allows.
    """
    images = x.reshape(-1, *x.shape[2:])
    values = int(MAX_VALUES * bounds.share())
    batch = max(1, values // math.prod(x.shape[2:]))
    parts = []
    for start in range(0, images.shape[0], batch):
        parts.append(mx.conv2d(images[start : start + batch], weight, stride, padding))
    y = mx.concatenate(parts)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def channels_last(weight: mx.array) -> mx.array:
    """Move a PyTorch convolution weight's input channels last: [out, in, ...] -> [out, ..., in].

    Arrays of two axes or fewer are returned unchanged.
    """
    return mx.moveaxis(weight, 1, -1) if weight.ndim > 2 else weight
