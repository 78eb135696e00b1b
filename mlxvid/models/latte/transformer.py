"""Latte's transformer: blocks over space that read the prompt, in turn with blocks over time."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import SettingError
from mlxvid.kernels import added_and_modulated, gated, modulated, temporal_attention_split
from mlxvid.layers import bounds, stack
from mlxvid.layers.attention import FeedForwardNet, attend
from mlxvid.layers.embeddings import TextProjection, TimestepEmbedding
from mlxvid.layers.patches import unfold
from mlxvid.layers.pixart import PatchEmbed, patch_matrix, sines, sines_2d
from mlxvid.layers.processor import silu
from mlxvid.layers.sharded import INPUTS, OUTPUTS, Shares

from .config import LatteConfig

# Of the output's norm, whatever the config's.
OUT_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head attention over the tokens of a frame, a position or the clip, or to a text."""

    def __init__(self, config: LatteConfig):
        super().__init__()
        dim = config.hidden_size
        bias = config.attention_bias
        self.head_dim = config.attention_head_dim
        self.to_q = nn.Linear(dim, dim, bias=bias)
        self.to_k = nn.Linear(dim, dim, bias=bias)
        self.to_v = nn.Linear(dim, dim, bias=bias)
        self.to_out = [nn.Linear(dim, dim)]

    def __call__(self, x: mx.array, text: mx.array | None = None) -> mx.array:
        """x [B, N, C] attends to itself, or to text [B, L, C]."""
        source = x if text is None else text
        q = self._heads(bounds.linear(self.to_q, x)).transpose(0, 2, 1, 3)
        k = self._heads(bounds.linear(self.to_k, source)).transpose(0, 2, 1, 3)
        v = self._heads(bounds.linear(self.to_v, source)).transpose(0, 2, 1, 3)
        out = attend(q, k, v).transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
        return bounds.linear(self.to_out[0], out)

    def over_time(self, x: mx.array) -> mx.array:
        """x [B, T, S, C] attends over T at each of the S positions."""
        q = self._heads(bounds.linear(self.to_q, x))
        k = self._heads(bounds.linear(self.to_k, x))
        v = self._heads(bounds.linear(self.to_v, x))
        return bounds.linear(self.to_out[0], temporal_attention_split(q, k, v))

    def _heads(self, x: mx.array) -> mx.array:
        """[..., C] -> [..., H, D]."""
        return x.reshape(*x.shape[:-1], -1, self.head_dim)


class Block(nn.Module):
    """Self-attention and feed-forward on [B, T, S, C], with cross-attention between if `reads`.

    The first and the last are shifted, scaled and gated by the timestep; the cross-attention to
    the text has neither modulation nor norm.
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
        """ada [B, 6, C]: the timestep's modulation. over: "space", "time" or the whole "clip"."""
        modulation = mx.moveaxis((self.scale_shift_table + ada)[:, :, None, None], 1, 0)
        gate1, shift2, scale2, gate2 = modulation[2:]
        b, t, s, c = x.shape
        h = self.modulated(x, ada)
        if over == "time":
            h = self.attn1.over_time(h)
        elif over == "space":
            h = self.attn1(h.reshape(b * t, s, c)).reshape(x.shape)
        else:
            h = self.attn1(h.reshape(b, t * s, c)).reshape(x.shape)
        if text is None:
            x, h = added_and_modulated(x, h, gate1, shift2, scale2, self.eps)
        else:
            x = gated(x, h, gate1)
            h = self.attn2(x.reshape(b, t * s, c), text).reshape(x.shape)
            x, h = added_and_modulated(x, h, None, shift2, scale2, self.eps)
        return gated(x, self.ff(h), gate2)

    def modulated(self, x: mx.array, ada: mx.array) -> mx.array:
        """What its self-attention reads, of tokens x."""
        shift, scale = mx.moveaxis((self.scale_shift_table + ada)[:, :2, None, None], 1, 0)
        return modulated(x, shift, scale, self.eps)


class AdaLayerNormSingle(nn.Module):
    """One modulation by the timestep for all blocks (PixArt-alpha, arXiv:2310.00426).

    Timesteps [B] -> the modulation [B, 6, C] and the embedding [B, C].
    """

    def __init__(self, dim: int):
        super().__init__()
        self.emb = {"timestep_embedder": TimestepEmbedding(dim)}
        self.linear = nn.Linear(dim, 6 * dim)

    def __call__(self, timestep: mx.array) -> tuple[mx.array, mx.array]:
        embedded = self.emb["timestep_embedder"](timestep)
        return self.linear(silu(embedded)).reshape(timestep.shape[0], 6, -1), embedded


class LatteTransformer3DModel(nn.Module):
    """The noise in latents, and its variance (Latte, arXiv:2401.03048).

    Diffusers' class of the same name.
    """

    def __init__(self, config: LatteConfig):
        super().__init__()
        self.config = config
        dim = config.hidden_size
        layers = config.num_layers
        out_channels = config.out_channels or config.in_channels
        self.pos_embed = PatchEmbed(config.in_channels, config.patch_size, dim)
        self.adaln_single = AdaLayerNormSingle(dim)
        self.caption_projection = TextProjection(config.caption_channels, dim)
        self.transformer_blocks = [Block(config, reads=True) for _ in range(layers)]
        self.temporal_transformer_blocks = [Block(config, reads=False) for _ in range(layers)]
        self.scale_shift_table = mx.zeros((2, dim))
        self.proj_out = nn.Linear(dim, config.patch_size**2 * out_channels)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The patch convolution as a matrix."""
        weights = dict(weights)
        if "pos_embed.proj.weight" in weights:
            weights["pos_embed.proj.weight"] = patch_matrix(weights["pos_embed.proj.weight"])
        return weights

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the blocks' matrices.

        Patches, text, timestep and output set the scale of everything and stay precise.
        """
        return "transformer_blocks." in name and isinstance(module, nn.Linear)

    @staticmethod
    def shares() -> Shares:
        """What of the blocks several machines share."""
        return {
            "*transformer_blocks.*.attn?.to_[qkv]": OUTPUTS,
            "*transformer_blocks.*.attn?.to_out.0": INPUTS,
            "*transformer_blocks.*.ff.net.0.proj": OUTPUTS,
            "*transformer_blocks.*.ff.net.2": INPUTS,
        }

    def __call__(
        self, x: mx.array, timestep: mx.array, text: mx.array, attention: str = "factored"
    ) -> mx.array:
        """The predicted noise and its variance, [B, F, H, W, out_channels].

        x: noisy latents [B, F, H, W, C], H and W multiples of the patch size, F the config's
        video_length or 1. timestep [B], 0 to 1000. text [B, L, D]: the encoder's states; all of
        them are read.
        attention: "factored"; "full": the spatial blocks attend to all tokens of the clip;
        "spatial": no temporal blocks, which is what a single picture is made with (Diffusers'
        enable_temporal_attentions=False).

        The learned variance is there where out_channels is twice in_channels. Raises
        :class:`SettingError` for another number of frames: the model has no positions for it.
        """
        config = self.config
        dtype = self.proj_out.weight.dtype
        x = self.pos_embed(x.astype(dtype))
        b, t, h, w, c = x.shape
        if t not in (1, config.video_length):
            raise SettingError(
                f"This model makes clips of {config.video_length} frames or pictures of 1, "
                f"not {t} frames."
            )
        base = config.sample_size // config.patch_size
        stretch = max(config.sample_size // 64, 1)
        x = x.reshape(b, t, h * w, c) + sines_2d(h, w, c, base, stretch).astype(dtype)
        ada, embedded = self.adaln_single(timestep)
        text = self.caption_projection(text.astype(dtype))
        over = "clip" if attention == "full" else "space"
        pairs = list(zip(self.transformer_blocks, self.temporal_transformer_blocks, strict=True))
        keys = h * w * (t if over == "clip" else 1)
        count = len(pairs) * (1 if attention == "spatial" else 2)
        pace = bounds.Pace(count, bounds.block_ops(b * t * h * w, c, 4 * c, keys))

        def blocks(x: mx.array) -> mx.array:
            for number, (spatial, temporal) in enumerate(pairs):
                is_kept = stack.is_kept(number)
                if is_kept:
                    x = pace.passed(spatial(x, ada, over, text))
                if attention == "spatial":
                    continue
                if number == 0 and t > 1:
                    x = x + sines(mx.arange(t), c)[:, None].astype(dtype)
                if is_kept:
                    x = pace.passed(temporal(x, ada, "time"))
            return x

        x = stack.through(x, lambda: self.transformer_blocks[0].modulated(x, ada), blocks)
        modulation = (self.scale_shift_table + embedded[:, None])[:, :, None, None]
        shift, scale = mx.moveaxis(modulation, 1, 0)
        x = self.proj_out(modulated(x, shift, scale, OUT_EPS))
        return unfold(x.reshape(b, t, h, w, -1), 1, config.patch_size)
