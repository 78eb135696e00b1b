"""The diffusion transformer with factored attention: over space within each frame, then over time
along each position.

For F frames of S tokens, full attention costs (F S)^2 pairs; the two factored steps cost F S^2 + S
F^2 (ViViT, arXiv:2103.15691, model 3; Latte, arXiv:2401.03048). The same weights also run the other
two ways.
"""

from __future__ import annotations

import math

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import Rotary
from mlxvid.layers.attention import Attention, CrossAttention, FeedForward
from mlxvid.layers.embeddings import TimestepEmbedding
from mlxvid.layers.patches import fold, unfold
from mlxvid.layers.pixart import modulated
from mlxvid.layers.rope import rope_1d, rope_3d

from .config import TransformerConfig

PLACE_FEATURES = 30


class Block(nn.Module):
    """Spatial attention, temporal attention, cross-attention to the text, feed-forward, on tokens
    [B, T, S, C].

    All but the cross-attention are shifted, scaled and gated by the timestep (adaLN-single: one
    projection for all blocks plus a table for each, PixArt-alpha, arXiv:2310.00426).
    """

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.attn1 = Attention(dim, head_dim)
        self.attn_temporal = Attention(dim, head_dim)
        self.norm2 = nn.RMSNorm(dim, eps=1e-6)
        self.attn2 = CrossAttention(dim, head_dim)
        self.ff = FeedForward(dim)
        self.scale_shift_table = mx.random.normal((9, dim)) / dim**0.5

    def __call__(
        self,
        x: mx.array,
        text: mx.array,
        mask: mx.array,
        ada: mx.array,
        ropes: dict[str, Rotary],
        mode: str,
    ) -> mx.array:
        b, t, s, c = x.shape
        modulation = (self.scale_shift_table + ada)[:, :, None, None]
        shift1, scale1, gate1, shift_t, scale_t, gate_t, shift3, scale3, gate3 = (
            modulation[:, i] for i in range(9)
        )
        h = modulated(x, shift1, scale1)
        if mode == "full":
            h = self.attn1(h.reshape(b, t * s, c), ropes["full"])
        else:
            h = self.attn1(h.reshape(b * t, s, c), ropes["space"])
        x = x + gate1 * h.reshape(b, t, s, c)
        if mode != "spatial":
            x = x + gate_t * self.attn_temporal.over_time(
                modulated(x, shift_t, scale_t), ropes["time"]
            )
        x = x + self.attn2(self.norm2(x).reshape(b, t * s, c), text, mask).reshape(b, t, s, c)
        return x + gate3 * self.ff(modulated(x, shift3, scale3))


def place_features(t: int, h: int, w: int) -> mx.array:
    """Where each token stands, float32 [t, h, w, 30]: waves from border to border of the frame,
    waves over the time since the start, whether it is the first frame, and the logarithm of the
    grid's size.

    Rotary positions tell tokens how far they are apart; these tell them where the floor is.
    """
    ts, ys, xs = mx.arange(t, dtype=mx.float32), (mx.arange(h) + 0.5) / h, (mx.arange(w) + 0.5) / w
    waves = math.pi * mx.power(2.0, mx.arange(-1, 3))
    decays = mx.power(2.0, -mx.arange(0, 5))
    time, y, x = (
        mx.concatenate([mx.sin(a), mx.cos(a)], axis=-1)
        for a in (ts[:, None] * decays, ys[:, None] * waves, xs[:, None] * waves)
    )
    first = (ts == 0).astype(mx.float32)[:, None]
    size = mx.array([math.log2(t / 8), math.log2(h / 6), math.log2(w / 6)])
    parts = (
        time[:, None, None],
        first[:, None, None],
        y[None, :, None],
        x[None, None],
        size[None, None, None],
    )
    return mx.concatenate(
        [mx.broadcast_to(part, (t, h, w, part.shape[-1])) for part in parts], axis=-1
    )


class FactoredTransformer(nn.Module):
    """Velocity of noisy latents along the straight road from clip to noise (rectified flow,
    arXiv:2209.03003).
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config, dim = config, config.hidden_size
        patch = config.patch_size_t * config.patch_size**2
        self.patch_embed = nn.Linear(patch * (2 * config.in_channels + 1), dim)
        self.pos_embed = nn.Linear(PLACE_FEATURES, dim)
        self.time_embed = TimestepEmbedding(dim)
        self.adaln = nn.Linear(dim, 9 * dim)
        self.caption_projection = nn.Linear(config.text_dim, dim)
        self.blocks = [Block(dim, config.attention_head_dim) for _ in range(config.num_layers)]
        self.scale_shift_table = mx.random.normal((2, dim)) / dim**0.5
        self.proj_out = nn.Linear(dim, patch * config.in_channels)

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """The large matrices of the blocks; what sets the scale of things (patches, time,
        modulation, output) stays precise.
        """
        return name.startswith("blocks.") and isinstance(module, nn.Linear)

    def ropes(self, t: int, h: int, w: int) -> dict[str, Rotary]:
        """Rotary tables of a token grid: `full` over time, height and width, its first frame as
        `space`, and `time` alone.
        """
        head, theta = self.config.attention_head_dim, self.config.rope_theta
        rows = (
            (head - head // 8 * 2) // 4 * 2
        )  # a quarter of the head turns with time, the rest with height and width
        full = rope_3d(t, h, w, (head - 2 * rows, rows, rows), theta, "half")
        space = Rotary(full.cos[: h * w], full.sin[: h * w], "half")
        return {
            "full": full,
            "space": space,
            "time": Rotary(*rope_1d(mx.arange(t), head, theta), "half"),
        }

    def __call__(
        self,
        x: mx.array,
        condition: mx.array,
        sigma: mx.array,
        text: mx.array,
        mask: mx.array,
        mode: str = "factored",
    ) -> mx.array:
        """
        x: noisy latents [B, F, H, W, C]; sigma [B]: their share of noise, 0 to 1. condition [B, F,
        H, W, C + 1]: encoded pictures in the latent frames that are given, and a last channel of
        ones there. text [B, L, D], mask bool [B, L]: the encoder's states and which of them are
        tokens. mode: "factored"; "full": the spatial step attends to all tokens of the clip;
        "spatial": no temporal step. Returns the velocity (noise - clip) [B, F, H, W, C].
        """
        config = self.config
        dtype = self.patch_embed.weight.dtype
        x = fold(
            mx.concatenate([x, condition], axis=-1).astype(dtype),
            config.patch_size_t,
            config.patch_size,
        )
        b, t, h, w, _ = x.shape
        x = self.patch_embed(x) + self.pos_embed(place_features(t, h, w).astype(dtype))
        x = x.reshape(b, t, h * w, -1)
        emb = self.time_embed(sigma * 1000)
        ada = self.adaln(nn.silu(emb)).reshape(b, 9, -1)
        text, mask, ropes = self.caption_projection(text), mask[:, None, None], self.ropes(t, h, w)
        for block in self.blocks:
            x = block(x, text, mask, ada, ropes, mode)
        modulation = (self.scale_shift_table + emb[:, None])[:, :, None, None]
        x = self.proj_out(modulated(x, modulation[:, 0], modulation[:, 1]))
        return unfold(x.reshape(b, t, h, w, -1), config.patch_size_t, config.patch_size)
