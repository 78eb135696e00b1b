"""Embeddings of a transformer's conditions: the timestep and the text."""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

from .processor import gelu_approx, silu


def timestep_embedding(t: mx.array, dim: int, max_period: float = 10000.0) -> mx.array:
    """Sinusoids of timesteps t [B] (0 to 1000), float32 [B, dim].

    Cosines first, then sines, as in DiT (arXiv:2212.09748).
    """
    half = dim // 2
    freqs = mx.exp(-math.log(max_period) * mx.arange(half, dtype=mx.float32) / half)
    angles = t.astype(mx.float32)[:, None] * freqs
    return mx.concatenate([mx.cos(angles), mx.sin(angles)], axis=-1)


class TimestepEmbedding(nn.Module):
    """Sinusoids of a timestep through a two-layer perceptron: [B] -> [B, dim].

    The sinusoids are computed in float32 whatever the weights' type.
    """

    def __init__(self, dim: int, frequencies: int = 256):
        super().__init__()
        self.linear_1 = nn.Linear(frequencies, dim)
        self.linear_2 = nn.Linear(dim, dim)

    def __call__(self, t: mx.array) -> mx.array:
        weight = self.linear_1.weight
        sinusoids = timestep_embedding(t, weight.shape[-1]).astype(weight.dtype)
        return self.linear_2(silu(self.linear_1(sinusoids)))


class TextProjection(nn.Module):
    """A text encoder's states [B, L, D] at the transformer's width, [B, L, C].

    Diffusers' PixArtAlphaTextProjection.
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        activation: Callable[[mx.array], mx.array] = gelu_approx,
    ):
        super().__init__()
        self.activation = activation
        self.linear_1 = nn.Linear(channels, dim)
        self.linear_2 = nn.Linear(dim, dim)

    def __call__(self, text: mx.array) -> mx.array:
        return self.linear_2(self.activation(self.linear_1(text)))
