"""What MLX's CPU backend computes slowly, made of operations that it computes fast.

Its `exp` takes some 13 ns a value on one core, and softmax, SiLU and GELU wait for it. Here 2^y is
2^n times 2^f, of the whole number n nearest to y and the rest f, as usual (J.-M. Muller, Elementary
Functions, 3rd edition, chapter 11): 2^f by a polynomial that is fitted to the least greatest
relative error (9e-8), 2^n by adding n to the exponent's bits. Compiled, that is loops which the
compiler vectorizes, as long as each has one result and no more than eleven operations in a row.

Its convolutions copy what each result needs, position by position. Here the taps of a kernel are
products of one matrix, the padded frames, a row a position: a tap meets it so many rows later.

Activations and attention are shared by all cores (:mod:`.cores`). Products aren't: BLAS itself
shares large ones better.

On Metal, which has fast functions of its own, MLX's are taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import mlx.core as mx
import mlx.nn as nn

from . import cores

LOG2_E = 1 / math.log(2)
# Values of one part, 1 MB in float32: they stay in the processor's cache.
PART = 2**18
# Queries of a part at least: with fewer, a product takes longer for each.
QUERIES = 64
# Added to a number below 2^22 and taken away again, this rounds it to a whole one.
_ROUND = 1.5 * 2**23
# What float32's exponent goes from and to.
_LEAST, _MOST = -126.0, 127.0


@mx.compile
def _exp2_of_rest(y: mx.array) -> mx.array:
    """2^f of the rest f of y, -1/2 to 1/2."""
    f = y - ((y + _ROUND) - _ROUND)
    square = f * f
    low = 1.0 + 0.69314700 * f
    middle = 0.24022243 + 0.055507336 * f
    high = 0.0096715130 + 0.0013264727 * f
    return low + square * (middle + square * high)


@mx.compile
def _raised(bits: mx.array, y: mx.array) -> mx.array:
    """A float's bits after its multiplication by 2^n, for the whole number n nearest to y."""
    n = mx.minimum(mx.maximum((y + _ROUND) - _ROUND, _LEAST), _MOST)
    return bits + n.astype(mx.int32) * 2**23


def exp2(y: mx.array) -> mx.array:
    """2^y in float32, within 3e-7 of it for y from -126 to 127, and bounded beyond."""
    y = y.astype(mx.float32)
    return _raised(_exp2_of_rest(y).view(mx.int32), y).view(mx.float32)


@mx.compile
def _by_one_more(x: mx.array, power: mx.array) -> mx.array:
    return x / (1.0 + power)


@mx.compile
def _gelu_exponent(x: mx.array) -> mx.array:
    """-2 log2(e) times what GELU takes the tanh of."""
    return x * (-2 * LOG2_E * math.sqrt(2 / math.pi) * (1.0 + 0.044715 * (x * x)))


def silu(x: mx.array) -> mx.array:
    """SiLU, x sigmoid(x), of any type."""
    if not cores.computes():
        return nn.silu(x)
    return _in_parts(lambda x: _by_one_more(x, exp2(x * -LOG2_E)), x)


def gelu_approx(x: mx.array) -> mx.array:
    """GELU by its tanh approximation (arXiv:1606.08415), of any type."""
    if not cores.computes():
        return nn.gelu_approx(x)
    return _in_parts(lambda x: _by_one_more(x, exp2(_gelu_exponent(x))), x)


def _in_parts(function: Callable[[mx.array], mx.array], x: mx.array) -> mx.array:
    """A function of each value in float32, in parts of :data:`PART`.

    With more than one, each is evaluated here.
    """
    values = x.reshape(-1)

    def part(own: slice) -> mx.array:
        return function(values[own].astype(mx.float32)).astype(x.dtype)

    parts = [partial(part, own) for own in cores.slices(values.size, PART)]
    return mx.concatenate(cores.made(parts, values)).reshape(x.shape)


def attend(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None = None) -> mx.array:
    """softmax(q k^T / sqrt(D)) v as :func:`mlxvid.layers.attention.attend` has it, on the CPU.

    It goes in parts of about :data:`PART` scores. With more than one, each is evaluated here.
    """
    b, h, n, d = q.shape
    keys = k.shape[2]
    queries = cores.slices(n, max(QUERIES, PART // keys))
    together = max(1, PART // (keys * queries[0].stop))
    q = q.reshape(b * h, n, d)
    k = k.reshape(b * h, keys, d)
    v = v.reshape(b * h, keys, d)
    bias = None
    if mask is not None:
        # Where a key doesn't count its score is so low that nothing is left of its weight.
        bias = mx.where(mask, 0.0, -1e9).reshape(-1, 1, keys, 1)
        bias = mx.broadcast_to(bias, (b, h, keys, 1)).reshape(b * h, keys, 1)

    def part(heads: slice, own: slice) -> mx.array:
        scaled = q[heads, own] * (d**-0.5 * LOG2_E)
        return _attended(scaled, k[heads], v[heads], None if bias is None else bias[heads])

    heads = cores.slices(b * h, together)
    parts = [partial(part, some, own) for some in heads for own in queries]
    made = iter(cores.made(parts, q, k, v, bias))
    rows = [mx.concatenate([next(made) for _ in queries], axis=1) for _ in heads]
    return mx.concatenate(rows).reshape(b, h, n, d)


def _attended(q: mx.array, k: mx.array, v: mx.array, bias: mx.array | None) -> mx.array:
    """One part [heads, N, D], whose queries are scaled for powers of 2.

    The scores stand as [keys, queries]: MLX goes over columns in a third of the time of rows.
    """
    scores = (k @ q.swapaxes(-1, -2)).astype(mx.float32)
    if bias is not None:
        scores = scores + bias
    weights = exp2(scores - mx.max(scores, axis=-2, keepdims=True))
    total = mx.sum(weights, axis=-2)[..., None]
    return ((weights.swapaxes(-1, -2).astype(v.dtype) @ v) / total).astype(q.dtype)


def convolve(x: mx.array, weight: mx.array) -> mx.array:
    """The convolution of padded frames [B, F, H, W, C] with a weight [out, k_t, k_h, k_w, C].

    [B, F - k_t + 1, H - k_h + 1, W - k_w + 1, out]: results where the whole kernel meets frames.
    """
    b, f, h, w, c = x.shape
    out, k_t, k_h, k_w, _ = weight.shape
    later = [(t * h + y) * w + x for t in range(k_t) for y in range(k_h) for x in range(k_w)]
    positions = f * h * w
    whole = positions - later[-1]
    # Either is copied, the smaller one: what all taps of a position meet, or the weights by taps.
    product = _by_position if whole <= out else _by_tap
    parts = []
    for clip in x.reshape(b, positions, c):
        parts.append(product(clip, weight, later, whole))
        parts.append(mx.zeros((later[-1], out), x.dtype))
    y = mx.concatenate(parts).reshape(b, f, h, w, out)
    return y[:, : f - k_t + 1, : h - k_h + 1, : w - k_w + 1]


def _by_position(clip: mx.array, weight: mx.array, later: list[int], whole: int) -> mx.array:
    """One product of all taps, for `whole` positions of a clip [positions, C]."""
    met = mx.concatenate([clip[rows : rows + whole] for rows in later], axis=1)
    return met @ weight.reshape(len(weight), -1).T


def _by_tap(clip: mx.array, weight: mx.array, later: list[int], whole: int) -> mx.array:
    """A product for each tap, for `whole` positions of a clip [positions, C]; evaluated here."""
    out, *_, c = weight.shape
    taps = mx.contiguous(weight.transpose(1, 2, 3, 0, 4)).reshape(-1, out, c)
    size = max(1, PART // out)
    parts = []
    for start in range(0, whole, size):
        stop = min(start + size, whole)
        y = clip[start:stop] @ taps[0].T
        for tap, rows in enumerate(later[1:], 1):
            y = mx.addmm(y, clip[start + rows : stop + rows], taps[tap].T)
        mx.eval(y)
        parts.append(y)
    return mx.concatenate(parts)
