"""The factored model's diffusion transformer: attention over space, then over time.

For F frames of S tokens, full attention costs (F S)^2 pairs; the two factored steps cost
F S^2 + S F^2 (ViViT, arXiv:2103.15691, model 3; Latte, arXiv:2401.03048). The same weights can
also attend over the whole clip at once, or over space only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import Rotary, added_and_modulated, gated, modulated
from mlxvid.layers import bounds, stack
from mlxvid.layers.attention import Attention, CrossAttention, FeedForward
from mlxvid.layers.embeddings import TimestepEmbedding
from mlxvid.layers.patches import fold, unfold
from mlxvid.layers.processor import silu
from mlxvid.layers.rope import rope_1d, rope_3d
from mlxvid.layers.sharded import INPUTS, OUTPUTS, Shares, fused

from .config import TransformerConfig

POSITION_FEATURES = 30
EPS = 1e-6


class Tokens(NamedTuple):
    """Tokens [B, T, S, C], and what is still to be added to them: a change, times its gate."""

    x: mx.array
    change: mx.array | None = None
    gate: mx.array | None = None

    def normed(self, shift: mx.array, scale: mx.array) -> tuple[mx.array, mx.array]:
        """The tokens with the change added, and their adaptive layer norm."""
        if self.change is None:
            return self.x, modulated(self.x, shift, scale, EPS)
        return added_and_modulated(self.x, self.change, self.gate, shift, scale, EPS)

    def summed(self) -> mx.array:
        """The tokens with the change added."""
        if self.change is None or self.gate is None:
            return self.x
        return gated(self.x, self.change, self.gate)


class Block(nn.Module):
    """Attention over space, over time and to the text, then feed-forward, on [B, T, S, C].

    All but the cross-attention are shifted, scaled and gated by the timestep (adaLN-single: one
    projection for all blocks plus a table for each, PixArt-alpha, arXiv:2310.00426). What the
    feed-forward changes is left to the next block's first norm, which adds it in the same kernel.
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
        tokens: Tokens,
        text: mx.array,
        mask: mx.array,
        ada: mx.array,
        ropes: dict[str, Rotary],
        mode: str,
    ) -> Tokens:
        """ada [B, 9, C]: the timestep's modulation; ropes and mode as in the transformer."""
        b, t, s, c = tokens.x.shape
        modulation = mx.moveaxis((self.scale_shift_table + ada)[:, :, None, None], 1, 0)
        shift1, scale1, gate1, shift_t, scale_t, gate_t, shift3, scale3, gate3 = modulation
        x, h = tokens.normed(shift1, scale1)
        if mode == "full":
            h = self.attn1(h.reshape(b, t * s, c), ropes["full"])
        else:
            h = self.attn1(h.reshape(b * t, s, c), ropes["space"])
        h = h.reshape(b, t, s, c)
        gate = gate1
        if mode != "spatial":
            x, h = added_and_modulated(x, h, gate1, shift_t, scale_t, EPS)
            h = self.attn_temporal.over_time(h, ropes["time"])
            gate = gate_t
        weight = mx.broadcast_to(self.norm2.weight, gate.shape)
        x, h = added_and_modulated(x, h, gate, None, weight, EPS, centred=False, offset=0)
        h = self.attn2(h.reshape(b, t * s, c), text, mask).reshape(b, t, s, c)
        x, h = added_and_modulated(x, h, None, shift3, scale3, EPS)
        return Tokens(x, self.ff(h), gate3)

    def modulated(self, x: mx.array, ada: mx.array) -> mx.array:
        """What its first attention reads, of tokens x."""
        shift, scale = mx.moveaxis((self.scale_shift_table + ada)[:, :2, None, None], 1, 0)
        return modulated(x, shift, scale, EPS)


def position_features(t: int, h: int, w: int) -> mx.array:
    """Absolute positions of a grid's tokens, float32 [t, h, w, 30].

    Sinusoids of time, row and column, whether it is the first frame, and the logarithm of the
    grid's size. Rotary position embedding gives distances only; these say where the frame's
    borders are.
    """
    frames = mx.arange(t, dtype=mx.float32)
    rows = (mx.arange(h) + 0.5) / h
    columns = (mx.arange(w) + 0.5) / w
    spatial = math.pi * mx.power(2.0, mx.arange(-1, 3))
    temporal = mx.power(2.0, -mx.arange(0, 5))
    time = _sinusoids(frames, temporal)
    y = _sinusoids(rows, spatial)
    x = _sinusoids(columns, spatial)
    first = (frames == 0).astype(mx.float32)[:, None]
    size = mx.array([math.log2(t / 8), math.log2(h / 6), math.log2(w / 6)])
    features = (
        time[:, None, None],
        first[:, None, None],
        y[None, :, None],
        x[None, None],
        size[None, None, None],
    )
    grids = [mx.broadcast_to(feature, (t, h, w, feature.shape[-1])) for feature in features]
    return mx.concatenate(grids, axis=-1)


def _sinusoids(positions: mx.array, frequencies: mx.array) -> mx.array:
    """Sines, then cosines, [N, 2K] of positions [N] at K frequencies."""
    angles = positions[:, None] * frequencies
    return mx.concatenate([mx.sin(angles), mx.cos(angles)], axis=-1)


class FactoredTransformer(nn.Module):
    """The velocity of noisy latents in a rectified flow from x0 to noise (arXiv:2209.03003)."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        dim = config.hidden_size
        patch = config.patch_size_t * config.patch_size**2
        self.patch_embed = nn.Linear(patch * (2 * config.in_channels + 1), dim)
        self.pos_embed = nn.Linear(POSITION_FEATURES, dim)
        self.time_embed = TimestepEmbedding(dim)
        self.adaln = nn.Linear(dim, 9 * dim)
        self.caption_projection = nn.Linear(config.text_dim, dim)
        self.blocks = [Block(dim, config.attention_head_dim) for _ in range(config.num_layers)]
        self.scale_shift_table = mx.random.normal((2, dim)) / dim**0.5
        self.proj_out = nn.Linear(dim, patch * config.in_channels)

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the blocks' matrices.

        Patches, timestep, modulation and output set the scale of everything and stay precise.
        """
        return name.startswith("blocks.") and isinstance(module, nn.Linear)

    @staticmethod
    def shares() -> Shares:
        """What of the blocks several machines share."""
        return {
            "blocks.*.attn*.qkv": fused(3),
            "blocks.*.attn2.q": OUTPUTS,
            "blocks.*.attn2.kv": fused(2),
            "blocks.*.attn*.proj": INPUTS,
            "blocks.*.ff.linear_1": OUTPUTS,
            "blocks.*.ff.linear_2": INPUTS,
        }

    def ropes(self, t: int, h: int, w: int) -> dict[str, Rotary]:
        """Rotary tables of a token grid.

        "full" is over time, height and width, "space" its first frame, "time" over time alone.
        """
        head = self.config.attention_head_dim
        theta = self.config.rope_theta
        # About a quarter of a head's channels encode time, the others height and width.
        side = (head - head // 8 * 2) // 4 * 2
        full = rope_3d(t, h, w, (head - 2 * side, side, side), theta, "half")
        cos, sin = rope_1d(mx.arange(t), head, theta)
        return {
            "full": full,
            "space": Rotary(full.cos[: h * w], full.sin[: h * w], "half"),
            "time": Rotary(cos, sin, "half"),
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
        """The velocity (noise - x0) [B, F, H, W, C] of noisy latents.

        x: noisy latents [B, F, H, W, C]; sigma [B]: their share of noise, 0 to 1.
        condition [B, F, H, W, C + 1]: encoded pictures in the latent frames that are given, and a
        last channel of ones there.
        text [B, L, D], mask bool [B, L]: the encoder's states and which of them are tokens.
        mode: "factored"; "full": the spatial step attends to all tokens of the clip; "spatial": no
        temporal step.
        """
        config = self.config
        dtype = self.patch_embed.weight.dtype
        x = mx.concatenate([x, condition], axis=-1).astype(dtype)
        x = fold(x, config.patch_size_t, config.patch_size)
        b, t, h, w, _ = x.shape
        x = self.patch_embed(x) + self.pos_embed(position_features(t, h, w).astype(dtype))
        x = x.reshape(b, t, h * w, -1)
        emb = self.time_embed(sigma * 1000)
        ada = self.adaln(silu(emb)).reshape(b, 9, -1)
        text = self.caption_projection(text)
        mask = mask[:, None, None]
        ropes = self.ropes(t, h, w)
        keys = h * w * (t if mode == "full" else 1)
        block_ops = bounds.block_ops(b * t * h * w, x.shape[-1], 4 * x.shape[-1], keys)
        pace = bounds.Pace(len(self.blocks), block_ops)

        def blocks(x: mx.array) -> mx.array:
            tokens = Tokens(x)
            for block in stack.kept(self.blocks):
                tokens = block(tokens, text, mask, ada, ropes, mode)
                tokens = tokens._replace(x=pace.passed(mx.depends(tokens.x, tokens.change)))
            return tokens.summed()

        x = stack.through(x, lambda: self.blocks[0].modulated(x, ada), blocks)
        modulation = (self.scale_shift_table + emb[:, None])[:, :, None, None]
        shift, scale = mx.moveaxis(modulation, 1, 0)
        x = self.proj_out(modulated(x, shift, scale, EPS))
        return unfold(x.reshape(b, t, h, w, -1), config.patch_size_t, config.patch_size)
