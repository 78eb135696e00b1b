"""Self- and cross-attention with normed heads, and the feed-forward that follows them."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import Rotary, temporal_attention


def rotate_heads(x: mx.array, rope: Rotary) -> mx.array:
    """Rotary embedding of heads [B, H, N, D] by "half" tables [N, D/2]: channel i turns with channel i + D/2, in float32."""
    a, b = mx.split(x.astype(mx.float32), 2, axis=-1)
    return mx.concatenate([a * rope.cos - b * rope.sin, a * rope.sin + b * rope.cos], axis=-1).astype(x.dtype)


class Attention(nn.Module):
    """Attention of tokens among themselves, queries and keys RMS-normed a head (arXiv:2302.05442) and rotated.

    Called with [B, N, C] it attends over N; :meth:`over_time` takes [B, T, S, C] and attends over T at each of the S positions.
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
        q, k, v = self.qkv(x).reshape(b, n, 3, -1, self.head_dim).transpose(2, 0, 3, 1, 4)
        q, k = rotate_heads(self.norm_q(q), rope), rotate_heads(self.norm_k(k), rope)
        x = mx.fast.scaled_dot_product_attention(q, k, v, scale=self.head_dim**-0.5, mask=mask)
        return self.proj(x.transpose(0, 2, 1, 3).reshape(b, n, c))

    def over_time(self, x: mx.array, rope: Rotary) -> mx.array:
        qkv = self.qkv(x).reshape(*x.shape[:3], 3, -1, self.head_dim)
        return self.proj(temporal_attention(qkv, self.norm_q.weight, self.norm_k.weight, rope))


class CrossAttention(nn.Module):
    """Attention of tokens [B, N, C] to a text's states [B, L, C]; `mask` [B, 1, 1, L] is true where the text has a token."""

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
        q = self.q(x).reshape(b, n, -1, self.head_dim).transpose(0, 2, 1, 3)
        k, v = self.kv(text).reshape(b, text.shape[1], 2, -1, self.head_dim).transpose(2, 0, 3, 1, 4)
        x = mx.fast.scaled_dot_product_attention(self.norm_q(q), self.norm_k(k), v, scale=self.head_dim**-0.5, mask=mask)
        return self.proj(x.transpose(0, 2, 1, 3).reshape(b, n, c))


class FeedForward(nn.Module):
    """Two linear layers about a tanh-approximated GELU, four times as wide inside."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear_1 = nn.Linear(dim, 4 * dim)
        self.linear_2 = nn.Linear(4 * dim, dim)

    def __call__(self, x: mx.array) -> mx.array:
        return self.linear_2(nn.gelu_approx(self.linear_1(x)))
