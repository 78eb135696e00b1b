"""The convolutions of video VAEs in time, and the frames they keep between the chunks of a clip."""

from __future__ import annotations

import math

import mlx.core as mx
import mlx.nn as nn

from . import bounds, cores, processor

# MLX's conv2d on Metal gave zeros, silently, for inputs above about 1.6e9 values
# (ml-explore/mlx#3979): it gets no more than this at once.
MAX_VALUES = 2**29
# MLX works ahead and holds the arrays of many operations at once. Where they are larger than this,
# each layer's input is evaluated first.
MAX_LAZY_VALUES = 2**20


class Stream:
    """The past frames that each layer needs of a clip that comes in temporal chunks.

    Pass the same Stream with every chunk, in order, and the result equals one pass over the whole
    clip. last: whether the chunk is the clip's last; of interest to layers that see future frames.
    They wait for these, so that their results come late, and all that are left with the last chunk.
    """

    def __init__(self, last: bool = False):
        self.last = last
        self._past: dict[int, mx.array] = {}
        self._begun: set[int] = set()

    @property
    def started(self) -> bool:
        """Whether a chunk has gone through already."""
        return bool(self._past)

    def extend(self, layer: nn.Module, x: mx.array, count: int) -> mx.array:
        """`x` [B, F, H, W, C] with the `count` frames before it, or as many as there have been."""
        past = self._past.get(id(layer))
        return self._keep(layer, x if past is None else mx.concatenate([past, x], axis=1), count)

    def surround(self, layer: nn.Module, x: mx.array, reach: int, repeat: bool = True) -> mx.array:
        """`x` [B, F, H, W, C] with the `2 * reach` frames before it.

        Before the clip's first frame and after its last one there are `reach` more: the same frame,
        or zeros unless `repeat`. Without any frame yet the result is `x`, which has none.
        """
        past = self._past.get(id(layer))
        parts = [part for part in (past, x) if part is not None and part.shape[1]]
        if not parts:
            return x
        if past is None:
            parts = [_edge(x[:, :1], reach, repeat), *parts]
        if not self.last:
            return self._keep(layer, mx.concatenate(parts, axis=1), 2 * reach)
        self._past.pop(id(layer), None)
        joined = mx.concatenate([*parts, _edge(parts[-1][:, -1:], reach, repeat)], axis=1)
        if joined.size > MAX_LAZY_VALUES:
            mx.eval(joined)
        return joined

    def behind(self, surrounded: mx.array, count: int, lag: int) -> mx.array:
        """The `count` frames whose results come when those of `surrounded` have come in.

        surrounded: of :meth:`surround` with a reach of 1. lag: frames that the results are late.
        """
        stop = surrounded.shape[1] - (1 if self.last else lag)
        return surrounded[:, stop - count : stop]

    def _keep(self, layer: nn.Module, joined: mx.array, count: int) -> mx.array:
        """`joined`, of which the last `count` frames are kept."""
        # A slice would keep the buffer of all the frames. Only a copy releases it, if made before
        # the layer goes on.
        kept = mx.contiguous(joined[:, -count:])
        self._past[id(layer)] = kept
        if joined.size <= MAX_LAZY_VALUES:
            return mx.depends(joined, kept)
        mx.eval(joined, kept)
        return joined

    def grouped(self, layer: nn.Module, x: mx.array, size: int) -> mx.array:
        """`x` [B, F, H, W, C] in whole groups of `size` frames: what is over waits for more.

        The clip's first frame stands there `size` times, so that it is a group by itself.
        """
        parts = [x]
        if id(layer) in self._past:
            parts.insert(0, self._past.pop(id(layer)))
        elif id(layer) not in self._begun:
            parts.insert(0, _edge(x[:, :1], size - 1, repeat=True))
        self._begun.add(id(layer))
        joined = mx.concatenate(parts, axis=1)
        whole = joined.shape[1] // size * size
        if whole < joined.shape[1]:
            self._past[id(layer)] = mx.contiguous(joined[:, whole:])
        return joined[:, :whole]

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


def _edge(frame: mx.array, count: int, repeat: bool) -> mx.array:
    """`count` frames beyond the clip, beside [B, 1, H, W, C]."""
    edge = mx.broadcast_to(frame, (frame.shape[0], count, *frame.shape[2:]))
    return edge if repeat else mx.zeros_like(edge)


class CausalConv3d(nn.Module):
    """A (k_t, k_h, k_w) convolution of [B, F, H, W, C] over past and present frames only.

    The padding in time is the first frame, repeated, or zeros unless `repeat_first`; in space it
    is zeros, or with `repeat_sides` the outermost positions. With a `stride` in time there is one
    result for that many frames, and each chunk must be a multiple of it; `space_stride` is that of
    height and width. With `one_by_one` large results are evaluated tap by tap, so that one
    workspace is held at a time. The weight is [out, k_t, k_h, k_w, in] (PyTorch's
    [out, in, k_t, k_h, k_w] with the input channels moved last, see :func:`channels_last`).

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
        space_stride: int = 1,
        repeat_sides: bool = False,
        one_by_one: bool = False,
    ):
        super().__init__()
        self.one_by_one = one_by_one
        self.stride = stride
        self.space_stride = space_stride
        self.repeat_first = repeat_first
        self.repeat_sides = repeat_sides
        _begin(self, in_channels, out_channels, kernel, bias)

    def __call__(self, x: mx.array, stream: Stream | None = None) -> mx.array:
        if self.repeat_sides:
            y_reach, x_reach = (size // 2 for size in self.weight.shape[2:4])
            sides = [(0, 0), (0, 0), (y_reach, y_reach), (x_reach, x_reach), (0, 0)]
            x = mx.pad(x, sides, mode="edge")
        k_t = self.weight.shape[1]
        frames = x.shape[1]
        context = k_t - self.stride
        missing = 0  # context frames before the clip's first frame
        if context:
            x = (stream or Stream()).extend(self, x, context)
            missing = context + frames - x.shape[1]
        if missing:
            x = mx.concatenate([_edge(x[:, :1], missing, self.repeat_first), x], axis=1)
        # In a short chunk the first taps meet only the zeros before the clip: they are left out.
        idle = 0 if self.repeat_first else max(0, missing - frames + 1)
        met = x[:, idle:]
        return _sum_of_taps(
            self, met, idle, self.stride, self.space_stride, self.one_by_one, self.repeat_sides
        )


class CentredConv3d(nn.Module):
    """A (k_t, k_h, k_w) convolution of [B, F, H, W, C] over past, present and future frames.

    k_t is odd. The padding in time is the first and the last frame, repeated, or zeros unless
    `repeat_edges`; in space it is zeros. In chunks its results come (k_t - 1) / 2 frames late (see
    :class:`Stream`). Weight and computation as of :class:`CausalConv3d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int, int],
        repeat_edges: bool = True,
    ):
        super().__init__()
        self.repeat_edges = repeat_edges
        _begin(self, in_channels, out_channels, kernel, bias=True)

    def __call__(self, x: mx.array, stream: Stream | None = None) -> mx.array:
        reach = self.weight.shape[1] // 2
        if reach:
            x = (stream or Stream(last=True)).surround(self, x, reach, self.repeat_edges)
        return self.within(x)

    def within(self, x: mx.array) -> mx.array:
        """The results of those frames that have all that they need in `x`: k_t - 1 fewer."""
        if x.shape[1] < self.weight.shape[1]:
            return mx.zeros((x.shape[0], 0, *x.shape[2:4], self.weight.shape[0]), x.dtype)
        return _sum_of_taps(self, x, one_by_one=True)


def _begin(
    layer: nn.Module, in_channels: int, out_channels: int, kernel: tuple[int, int, int], bias: bool
) -> None:
    """Give a convolution its parameters, as PyTorch begins with them."""
    bound = 1 / math.sqrt(in_channels * math.prod(kernel))
    layer.weight = mx.random.uniform(-bound, bound, (out_channels, *kernel, in_channels))
    if bias:
        layer.bias = mx.zeros((out_channels,))


def _sum_of_taps(
    layer: nn.Module,
    x: mx.array,
    first: int = 0,
    stride: int = 1,
    space_stride: int = 1,
    one_by_one: bool = False,
    padded: bool = False,
) -> mx.array:
    """The convolution of frames, as many of them in time as have all that they need in `x`.

    first: the number of the first tap in time. one_by_one: as of :class:`CausalConv3d`. padded:
    whether the frames have their padding in space.
    """
    weight = layer.weight[:, first:]
    k_t, k_h, k_w = weight.shape[1:4]
    frames = x.shape[1] - k_t + 1
    inputs = [x[:, tap : tap + frames : stride] for tap in range(k_t)]
    padding = (0, 0) if padded else (k_h // 2, k_w // 2)
    if k_h == k_w == 1:
        y = mx.concatenate(inputs, axis=-1) @ weight.reshape(weight.shape[0], -1).T
    elif stride == space_stride == 1 and cores.computes():
        y = processor.convolve(_padded(x, padding), weight)
    else:
        y = conv_frames(inputs[0], weight[:, 0], space_stride, padding)
        for tap, part in enumerate(inputs[1:], 1):
            if one_by_one and y.size > MAX_LAZY_VALUES:
                mx.eval(y)
            y = y + conv_frames(part, weight[:, tap], space_stride, padding)
    return y + layer.bias if "bias" in layer else y


def _padded(x: mx.array, padding: tuple[int, int]) -> mx.array:
    """Frames [B, F, H, W, C] with so many zeros on each side of height and width."""
    return mx.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)])


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
    if stride in (1, (1, 1)) and cores.computes():
        sides = (padding, padding) if isinstance(padding, int) else padding
        return processor.convolve(_padded(x, sides), weight[:, None])
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
