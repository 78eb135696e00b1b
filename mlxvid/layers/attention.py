"""Attention and feed-forward layers, and attention of any size in bounded parts."""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import Rotary, attends_over, normed_rotated, temporal_attention
from mlxvid.padded_heads import padded

from . import bounds, cores, processor
from .processor import gelu_approx

# Channels of a head for which MLX's attention on Metal is fused, and the scores that are held at
# once where it isn't.
FUSED_HEAD = 128
WIDE_HEAD_SCORES = 2**25


def attend(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None = None) -> mx.array:
    """softmax(q k^T / sqrt(D)) v for q [B, H, N, D] and k, v [B, H, L, D], in bounded parts.

    mask [B, 1, 1, L]: true for the keys that count, None for all.
    """
    if cores.computes():
        return processor.attend(q, k, v, mask)
    return attend_in_parts(q, k, v, mask)


def attend_in_parts(
    q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None = None
) -> mx.array:
    """:func:`attend` by MLX's own attention.

    The queries are split into as many parts as keep one evaluation within its bound
    (:mod:`mlxvid.layers.bounds`), and what is held of the scores of wide heads within
    :data:`WIDE_HEAD_SCORES`. With more than one part, each is evaluated here. Tokens that attend to
    each other do so in heads as wide as :mod:`mlxvid.padded_heads` has them.
    """
    _, _, n, d = q.shape
    # A text's few tokens are read sooner than the queries are copied.
    wide = padded(d) if k.shape[2] >= n else d
    if wide > d:
        q, k, v = (mx.pad(x, [*[(0, 0)] * 3, (0, wide - d)]) for x in (q, k, v))
    return _in_parts(q, k, v, mask, d**-0.5)[..., :d]


def _in_parts(
    q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None, scale: float
) -> mx.array:
    b, h, n, d = q.shape
    scores = b * h * n * k.shape[2]
    count = math.ceil(scores * 4 * d / bounds.eval_ops())
    if d > FUSED_HEAD:
        count = max(count, math.ceil(scores / WIDE_HEAD_SCORES))
    size = math.ceil(n / count)
    if size >= n:
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
    parts = []
    for start in range(0, n, size):
        queries = q[:, :, start : start + size]
        part = mx.fast.scaled_dot_product_attention(queries, k, v, scale=scale, mask=mask)
        bounds.evaluate(part)
        parts.append(part)
    return mx.concatenate(parts, axis=2)


class Attention(nn.Module):
    """Self-attention with rotary position embedding.

    Queries and keys are RMS-normed per head (arXiv:2302.05442). Called with [B, N, C] it attends
    over N; :meth:`over_time` takes [B, T, S, C] and attends over T at each of the S positions.
    """

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm_q = nn.RMSNorm(head_dim, eps=1e-6)
        self.norm_k = nn.RMSNorm(head_dim, eps=1e-6)

    def __call__(self, x: mx.array, rope: Rotary, mask: mx.array | None = None) -> mx.array:
        b, n, _ = x.shape
        if mask is None and attends_over(n, self.head_dim):
            # A small frame's tokens are as few as the frames of a clip.
            return self.over_time(x[:, :, None], rope)[:, :, 0]
        qkv = bounds.linear(self.qkv, x)
        q, k, v = qkv.reshape(b, n, 3, -1, self.head_dim).transpose(2, 0, 1, 3, 4)
        q = normed_rotated(q, self.norm_q.weight, rope, self.norm_q.eps)
        k = normed_rotated(k, self.norm_k.weight, rope, self.norm_k.eps)
        q, k, v = (heads.transpose(0, 2, 1, 3) for heads in (q, k, v))
        x = attend(q, k, v, mask)
        return bounds.linear(self.proj, x.transpose(0, 2, 1, 3).reshape(b, n, -1))

    def over_time(self, x: mx.array, rope: Rotary) -> mx.array:
        qkv = bounds.linear(self.qkv, x).reshape(*x.shape[:3], 3, -1, self.head_dim)
        out = temporal_attention(qkv, self.norm_q.weight, self.norm_k.weight, rope)
        return bounds.linear(self.proj, out)


class CrossAttention(nn.Module):
    """Attention of tokens [B, N, C] to a text's states [B, L, C].

    `mask` [B, 1, 1, L] is true where the text has a token.
    """

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm_q = nn.RMSNorm(head_dim, eps=1e-6)
        self.norm_k = nn.RMSNorm(head_dim, eps=1e-6)

    def __call__(self, x: mx.array, text: mx.array, mask: mx.array) -> mx.array:
        b, n, _ = x.shape
        length = text.shape[1]
        q = bounds.linear(self.q, x).reshape(b, n, -1, self.head_dim).transpose(0, 2, 1, 3)
        k, v = self.kv(text).reshape(b, length, 2, -1, self.head_dim).transpose(2, 0, 3, 1, 4)
        q = self.norm_q(q)
        k = self.norm_k(k)
        x = attend(q, k, v, mask)
        return bounds.linear(self.proj, x.transpose(0, 2, 1, 3).reshape(b, n, -1))


class FeedForward(nn.Module):
    """Two linear layers around a tanh-approximated GELU, four times as wide inside."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear_1 = nn.Linear(dim, 4 * dim)
        self.linear_2 = nn.Linear(4 * dim, dim)

    def __call__(self, x: mx.array) -> mx.array:
        return bounds.in_rows(self._whole, x, 16.0 * x.shape[-1] ** 2)

    def _whole(self, x: mx.array) -> mx.array:
        return self.linear_2(gelu_approx(self.linear_1(x)))


class GELU(nn.Module):
    """A linear layer, then GELU (or another activation)."""

    def __init__(self, dim: int, inner: int, activation: Callable[[mx.array], mx.array]):
        super().__init__()
        self.proj = nn.Linear(dim, inner)
        self.activation = activation

    def __call__(self, x: mx.array) -> mx.array:
        return self.activation(self.proj(x))


class FeedForwardNet(nn.Module):
    """Two linear layers around a GELU, [..., dim] -> [..., out].

    Tensor names are those of Diffusers' FeedForward.
    """

    def __init__(
        self,
        dim: int,
        inner: int,
        out: int,
        activation: Callable[[mx.array], mx.array] = gelu_approx,
    ):
        super().__init__()
        self._row_ops = 2.0 * inner * (dim + out)
        # The second layer is dropout in training: checkpoints count it in their numbering.
        self.net = [GELU(dim, inner, activation), nn.Identity(), nn.Linear(inner, out)]

    def __call__(self, x: mx.array) -> mx.array:
        return bounds.in_rows(self._whole, x, self._row_ops)

    def _whole(self, x: mx.array) -> mx.array:
        for layer in self.net:
            x = layer(x)
        return x
