"""Latte's transformer: blocks over space that read the prompt, and between them blocks over time
that don't.
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import SettingError
from mlxvid.kernels import temporal_attention_split
from mlxvid.layers.attention import FeedForwardNet, attend
from mlxvid.layers.embeddings import TextProjection, TimestepEmbedding
from mlxvid.layers.patches import unfold
from mlxvid.layers.pixart import PatchEmbed, modulated, patch_matrix, sines, sines_2d

from .config import LatteConfig


class Attention(nn.Module):
    """Multi-head attention of tokens to those of the same frame, position or clip, or to a text."""

    def __init__(self, config: LatteConfig):
        super().__init__()
        self.head_dim, dim = config.attention_head_dim, config.hidden_size
        self.to_q, self.to_k, self.to_v = (
            nn.Linear(dim, dim, bias=config.attention_bias) for _ in range(3)
        )
        self.to_out = [nn.Linear(dim, dim)]

    def __call__(self, x: mx.array, text: mx.array | None = None) -> mx.array:
        """x [B, N, C] attends to itself, or to text [B, L, C]."""
        source = x if text is None else text
        q, k, v = (heads.transpose(0, 2, 1, 3) for heads in self._heads(x, source))
        return self.to_out[0](attend(q, k, v).transpose(0, 2, 1, 3).reshape(x.shape))

    def over_time(self, x: mx.array) -> mx.array:
        """x [B, T, S, C] attends over T at each of the S positions."""
        return self.to_out[0](temporal_attention_split(*self._heads(x, x)))

    def _heads(self, x: mx.array, source: mx.array) -> list[mx.array]:
        projected = self.to_q(x), self.to_k(source), self.to_v(source)
        return [p.reshape(*p.shape[:-1], -1, self.head_dim) for p in projected]


class Block(nn.Module):
    """Self-attention and feed-forward on tokens [B, T, S, C], and between them, in blocks over
    space, a look at the text.

    The first and the last are shifted, scaled and gated by the timestep; the text is read as the
    tokens are, without a norm.
    """

    def __init__(self, config: LatteConfig, reads: bool):
        super().__init__()
        self.eps = config.norm_eps
        self.scale_shift_table = mx.zeros((6, config.hidden_size))
        self.attn1 = Attention(config)
        if reads:
            self.attn2 = Attention(config)
        self.ff = FeedForwardNet(config.hidden_size, 4 * config.hidden_size, config.hidden_size)

    def __call__(
        self, x: mx.array, ada: mx.array, over: str, text: mx.array | None = None
    ) -> mx.array:
        """ada [B, 6, C] is the timestep's modulation; `over` is what a token attends to: "space",
        "time" or the whole "clip".
        """
        modulation = (self.scale_shift_table + ada)[:, :, None, None]
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation[:, i] for i in range(6))
        b, t, s, c = x.shape
        h = modulated(x, shift1, scale1, self.eps)
        if over == "time":
            h = self.attn1.over_time(h)
        else:
            h = self.attn1(
                h.reshape(b * t, s, c) if over == "space" else h.reshape(b, t * s, c)
            ).reshape(x.shape)
        x = x + gate1 * h
        if text is not None:
            x = x + self.attn2(x.reshape(b, t * s, c), text).reshape(x.shape)
        return x + gate2 * self.ff(modulated(x, shift2, scale2, self.eps))


class AdaLayerNormSingle(nn.Module):
    """The timestep as one modulation for all blocks (PixArt-alpha, arXiv:2310.00426): [B] -> [B, 6,
    C], and the embedding [B, C].
    """

    def __init__(self, dim: int):
        super().__init__()
        self.emb = {"timestep_embedder": TimestepEmbedding(dim)}
        self.linear = nn.Linear(dim, 6 * dim)

    def __call__(self, timestep: mx.array) -> tuple[mx.array, mx.array]:
        embedded = self.emb["timestep_embedder"](timestep)
        return self.linear(nn.silu(embedded)).reshape(timestep.shape[0], 6, -1), embedded


class LatteTransformer3DModel(nn.Module):
    """The noise in latents, and how sure of it the model is (Latte, arXiv:2401.03048; Diffusers'
    class of the same name).
    """

    def __init__(self, config: LatteConfig):
        super().__init__()
        self.config, dim = config, config.hidden_size
        self.pos_embed = PatchEmbed(config.in_channels, config.patch_size, dim)
        self.adaln_single = AdaLayerNormSingle(dim)
        self.caption_projection = TextProjection(config.caption_channels, dim)
        self.transformer_blocks = [Block(config, reads=True) for _ in range(config.num_layers)]
        self.temporal_transformer_blocks = [
            Block(config, reads=False) for _ in range(config.num_layers)
        ]
        self.scale_shift_table = mx.zeros((2, dim))
        self.proj_out = nn.Linear(
            dim, config.patch_size**2 * (config.out_channels or config.in_channels)
        )

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The patch convolution as the matrix that it is."""
        return {
            name: patch_matrix(weight) if name == "pos_embed.proj.weight" else weight
            for name, weight in weights.items()
        }

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """The large matrices of the blocks; what sets the scale of things (patches, text, time,
        output) stays precise.
        """
        return "transformer_blocks." in name and isinstance(module, nn.Linear)

    def __call__(
        self, x: mx.array, timestep: mx.array, text: mx.array, attention: str = "factored"
    ) -> mx.array:
        """
        x: noisy latents [B, F, H, W, C], H and W multiples of the patch size, F the config's
        video_length or 1. timestep [B], 0 to 1000. text [B, L, D]: the encoder's states; all of
        them are read. attention: "factored"; "full": the spatial blocks attend to all tokens of the
        clip; "spatial": no temporal blocks, which is what a single picture is made with (Diffusers'
        enable_temporal_attentions=False). Returns [B, F, H, W, out_channels]: the predicted noise
        and, where out_channels is twice in_channels, its learned variance. Raises
        :class:`SettingError` for any other number of frames: the model has no positions for them.
        """
        config = self.config
        dtype = self.proj_out.weight.dtype
        x = self.pos_embed(x.astype(dtype))
        b, t, h, w, c = x.shape
        if t not in (1, config.video_length):
            raise SettingError(
                f"This model makes clips of {config.video_length} frames or pictures of 1, not {t} frames."
            )
        base = config.sample_size // config.patch_size
        x = x.reshape(b, t, h * w, c) + sines_2d(
            h, w, c, base, max(config.sample_size // 64, 1)
        ).astype(dtype)
        ada, embedded = self.adaln_single(timestep)
        text = self.caption_projection(text.astype(dtype))
        for i, (spatial, temporal) in enumerate(
            zip(self.transformer_blocks, self.temporal_transformer_blocks, strict=True)
        ):
            x = spatial(x, ada, "clip" if attention == "full" else "space", text)
            if attention == "spatial":
                continue
            if i == 0 and t > 1:
                x = x + sines(mx.arange(t), c)[:, None].astype(dtype)
            x = temporal(x, ada, "time")
        shift, scale = (
            (self.scale_shift_table + embedded[:, None])[:, i, None, None] for i in (0, 1)
        )
        x = self.proj_out(modulated(x, shift, scale))
        return unfold(x.reshape(b, t, h, w, -1), 1, config.patch_size)
