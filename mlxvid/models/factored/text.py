"""The factored model's text encoder, a small bidirectional transformer over word pieces.

It is trained together with the diffusion transformer.
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import Rotary
from mlxvid.layers.attention import Attention, FeedForward
from mlxvid.layers.rope import rope_1d

from .config import TextConfig

ROPE_THETA = 10000.0


class TextLayer(nn.Module):
    """Self-attention and feed-forward on token states [B, L, C]."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.norm1 = nn.RMSNorm(dim, eps=1e-6)
        self.attn = Attention(dim, head_dim)
        self.norm2 = nn.RMSNorm(dim, eps=1e-6)
        self.ff = FeedForward(dim)

    def __call__(self, x: mx.array, rope: Rotary, mask: mx.array) -> mx.array:
        x = x + self.attn(self.norm1(x), rope, mask)
        return x + self.ff(self.norm2(x))


class FactoredTextEncoder(nn.Module):
    """Token ids [B, L] and their mask [B, L] (true: a token) -> states [B, L, C]."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.config = config
        dim = config.hidden_size
        self.embed = nn.Embedding(config.vocab_size, dim)
        self.layers = [TextLayer(dim, config.attention_head_dim) for _ in range(config.num_layers)]
        self.norm_out = nn.RMSNorm(dim, eps=1e-6)

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the layers' matrices, not the embedding."""
        return name.startswith("layers.") and isinstance(module, nn.Linear)

    def __call__(self, ids: mx.array, mask: mx.array) -> mx.array:
        x = self.embed(ids)
        positions = mx.arange(ids.shape[1])
        cos, sin = rope_1d(positions, self.config.attention_head_dim, ROPE_THETA)
        rope = Rotary(cos, sin, "half")
        for layer in self.layers:
            x = layer(x, rope, mask[:, None, None])
        return self.norm_out(x)
