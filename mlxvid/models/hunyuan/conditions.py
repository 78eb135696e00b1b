"""What HunyuanVideo's blocks are conditioned on: time, guidance and pooled text; refined text."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.attention import FeedForwardNet, attend
from mlxvid.layers.embeddings import TextProjection, TimestepEmbedding
from mlxvid.layers.processor import silu

from .config import HunyuanVideoTransformerConfig

EPS = 1e-6
# The refiner's feed-forward is this many times as wide inside, whatever the config's mlp_ratio.
REFINER_RATIO = 4


class Modulation(nn.Module):
    """Shifts, scales and gates of a condition after SiLU: [B, K, C] -> `parts` arrays [B, K, C]."""

    def __init__(self, dim: int, parts: int):
        super().__init__()
        self.parts = parts
        self.linear = nn.Linear(dim, parts * dim)

    def __call__(self, condition: mx.array) -> list[mx.array]:
        return list(mx.split(self.linear(condition), self.parts, axis=-1))


class ConditionEmbedding(nn.Module):
    """The vectors [B, K, C] that modulate the blocks.

    The first is of time, guidance and text. With token replacement there is a second, for the
    tokens of the first latent frame: of time 0 and text, without guidance.
    """

    def __init__(self, config: HunyuanVideoTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.replaces_tokens = config.replaces_tokens
        self.timestep_embedder = TimestepEmbedding(dim)
        self.text_embedder = TextProjection(config.pooled_projection_dim, dim, silu)
        if config.guidance_embeds:
            self.guidance_embedder = TimestepEmbedding(dim)

    def __call__(self, timestep: mx.array, pooled: mx.array, guidance: mx.array | None) -> mx.array:
        text = self.text_embedder(pooled)
        vector = self.timestep_embedder(timestep) + text
        if guidance is not None:
            vector = vector + self.guidance_embedder(guidance)
        if not self.replaces_tokens:
            return vector[:, None]
        clean = self.timestep_embedder(mx.zeros_like(timestep)) + text
        return mx.stack([vector, clean], axis=1)


class TimeTextEmbedding(nn.Module):
    """A vector [B, C] of the time and of a text's mean state [B, D]."""

    def __init__(self, text_dim: int, dim: int):
        super().__init__()
        self.timestep_embedder = TimestepEmbedding(dim)
        self.text_embedder = TextProjection(text_dim, dim, silu)

    def __call__(self, timestep: mx.array, text: mx.array) -> mx.array:
        return self.timestep_embedder(timestep) + self.text_embedder(text)


class RefinerAttention(nn.Module):
    """Self-attention of a text [B, L, C], without norms of queries and keys."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.to_out = [nn.Linear(dim, dim)]

    def __call__(self, x: mx.array) -> mx.array:
        out = attend(
            self._heads(self.to_q(x)), self._heads(self.to_k(x)), self._heads(self.to_v(x))
        )
        return self.to_out[0](out.transpose(0, 2, 1, 3).reshape(x.shape))

    def _heads(self, x: mx.array) -> mx.array:
        """[B, L, C] -> [B, H, L, D]."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(0, 2, 1, 3)


class RefinerBlock(nn.Module):
    """Attention and feed-forward on a text [B, L, C], gated by time and text."""

    def __init__(self, config: HunyuanVideoTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = RefinerAttention(dim, config.num_attention_heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.ff = FeedForwardNet(dim, REFINER_RATIO * dim, dim, silu)
        self.norm_out = Modulation(dim, 2)

    def __call__(self, x: mx.array, condition: mx.array) -> mx.array:
        """condition [B, 1, C]: after SiLU, as :class:`Modulation` takes it."""
        gate, ff_gate = self.norm_out(condition)
        x = x + self.attn(self.norm1(x)) * gate
        return x + self.ff(self.norm2(x)) * ff_gate


class TokenRefiner(nn.Module):
    """A text encoder's states [B, L, D] as tokens of the transformer, [B, L, C].

    All of them are read: padding is cut off before. So the reference's masks, which hide padding
    from the other tokens, and its mean over the mask aren't needed.
    """

    def __init__(self, config: HunyuanVideoTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.time_text_embed = TimeTextEmbedding(config.text_embed_dim, dim)
        self.proj_in = nn.Linear(config.text_embed_dim, dim)
        blocks = [RefinerBlock(config) for _ in range(config.num_refiner_layers)]
        self.token_refiner = {"refiner_blocks": blocks}

    def __call__(self, text: mx.array, timestep: mx.array) -> mx.array:
        mean = text.astype(mx.float32).mean(axis=1).astype(text.dtype)
        condition = silu(self.time_text_embed(timestep, mean))[:, None]
        x = self.proj_in(text)
        for block in self.token_refiner["refiner_blocks"]:
            x = block(x, condition)
        return x
