"""Attention and feed-forward layers, and attention of any size in bounded parts."""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import Rotary, normed_rotated, temporal_attention

from . import bounds

# Attention scores held at once where MLX has no fused attention, on the CPU: 256 MB in float32.
CPU_SCORES = 2**26


def attend(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None = None) -> mx.array:
    """softmax(q k^T / sqrt(D)) v for q [B, H, N, D] and k, v [B, H, L, D].

    mask [B, 1, 1, L]: true for the keys that count, None for all.
    The queries are split into as many parts as keep one evaluation within its bound on Metal
    (:mod:`mlxvid.layers.bounds`) and :data:`CPU_SCORES` on the CPU. With more than one part, each
    is evaluated here.
    """
    b, h, n, d = q.shape
    limit = bounds.eval_ops() / (4 * d) if mx.default_device() == mx.gpu else CPU_SCORES
    count = math.ceil(b * h * n * k.shape[2] / limit)
    size = math.ceil(n / count)
    if size >= n:
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=d**-0.5, mask=mask)
    parts = []
    for start in range(0, n, size):
        queries = q[:, :, start : start + size]
        part = mx.fast.scaled_dot_product_attention(queries, k, v, scale=d**-0.5, mask=mask)
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
        b, n, c = x.shape
        qkv = bounds.linear(self.qkv, x)
        q, k, v = qkv.reshape(b, n, 3, -1, self.head_dim).transpose(2, 0, 1, 3, 4)
        q = normed_rotated(q, self.norm_q.weight, rope, self.norm_q.eps)
        k = normed_rotated(k, self.norm_k.weight, rope, self.norm_k.eps)
        q, k, v = (heads.transpose(0, 2, 1, 3) for heads in (q, k, v))
        x = attend(q, k, v, mask)
        return bounds.linear(self.proj, x.transpose(0, 2, 1, 3).reshape(b, n, c))

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
        b, n, c = x.shape
        length = text.shape[1]
        q = bounds.linear(self.q, x).reshape(b, n, -1, self.head_dim).transpose(0, 2, 1, 3)
        k, v = self.kv(text).reshape(b, length, 2, -1, self.head_dim).transpose(2, 0, 3, 1, 4)
        q = self.norm_q(q)
        k = self.norm_k(k)
        x = attend(q, k, v, mask)
        return bounds.linear(self.proj, x.transpose(0, 2, 1, 3).reshape(b, n, c))


class FeedForward(nn.Module):
    """Two linear layers around a tanh-approximated GELU, four times as wide inside."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear_1 = nn.Linear(dim, 4 * dim)
        self.linear_2 = nn.Linear(4 * dim, dim)

    def __call__(self, x: mx.array) -> mx.array:
        return bounds.in_rows(self._whole, x, 16.0 * x.shape[-1] ** 2)

    def _whole(self, x: mx.array) -> mx.array:
        return self.linear_2(nn.gelu_approx(self.linear_1(x)))


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
        activation: Callable[[mx.array], mx.array] = nn.gelu_approx,
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
