"""Open-Sora's transformer (STDiT3): blocks over space and over time in turn.

All of them read the prompt.
"""

from __future__ import annotations

import math

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import Rotary, added_and_modulated, gated, modulated, temporal_attention
from mlxvid.layers import bounds, stack
from mlxvid.layers.attention import attend
from mlxvid.layers.embeddings import timestep_embedding
from mlxvid.layers.patches import unfold
from mlxvid.layers.pixart import PatchEmbed, patch_matrix, sines_2d
from mlxvid.layers.processor import gelu_approx
from mlxvid.layers.rope import rope_1d
from mlxvid.layers.sharded import INPUTS, OUTPUTS, Shares, fused

from .chain import chain
from .config import STDiT3Config

SINUSOIDS = 256  # channels of the sinusoids of timestep and frame rate
ROPE_THETA = 10000.0
EPS = 1e-6


class Attention(nn.Module):
    """Attention of tokens [B, T, S, C] among those of one frame, one position or the whole clip."""

    def __init__(self, config: STDiT3Config):
        super().__init__()
        dim = config.hidden_size
        self.head_dim = config.head_dim
        self.qkv = nn.Linear(dim, 3 * dim)
        if config.qk_norm:
            self.q_norm = nn.RMSNorm(self.head_dim, eps=1e-6)
            self.k_norm = nn.RMSNorm(self.head_dim, eps=1e-6)
        self.proj = nn.Linear(dim, dim)

    def __call__(self, x: mx.array, over: str, rope: Rotary) -> mx.array:
        """`over`: "space", "time" or "clip". Only over time are queries and keys rotated."""
        b, t, s, _ = x.shape
        qkv = bounds.linear(self.qkv, x).reshape(b, t, s, 3, -1, self.head_dim)
        has_norms = "q_norm" in self
        if over == "time":
            q_weight = self.q_norm.weight if has_norms else None
            k_weight = self.k_norm.weight if has_norms else None
            return bounds.linear(self.proj, temporal_attention(qkv, q_weight, k_weight, rope))
        n = s if over == "space" else t * s
        q, k, v = qkv.reshape(b * t * s // n, n, 3, -1, self.head_dim).transpose(2, 0, 3, 1, 4)
        if has_norms:
            q = self.q_norm(q)
            k = self.k_norm(k)
        out = attend(q, k, v).transpose(0, 2, 1, 3).reshape(b, t, s, -1)
        return bounds.linear(self.proj, out)


class CrossAttention(nn.Module):
    """Attention of tokens [B, N, C] to a text [B, L, C].

    `mask` [B, 1, 1, L] is true where the text has a token; None: everywhere.
    """

    def __init__(self, config: STDiT3Config):
        super().__init__()
        dim = config.hidden_size
        self.head_dim = config.head_dim
        self.q_linear = nn.Linear(dim, dim)
        self.kv_linear = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def __call__(self, x: mx.array, text: mx.array, mask: mx.array | None) -> mx.array:
        b, n, _ = x.shape
        length = text.shape[1]
        q = bounds.linear(self.q_linear, x)
        q = q.reshape(b, n, -1, self.head_dim).transpose(0, 2, 1, 3)
        kv = self.kv_linear(text).reshape(b, length, 2, -1, self.head_dim)
        k, v = kv.transpose(2, 0, 3, 1, 4)
        out = attend(q, k, v, mask).transpose(0, 2, 1, 3).reshape(b, n, -1)
        return bounds.linear(self.proj, out)


class MLP(nn.Module):
    """Two linear layers around a tanh-approximated GELU."""

    def __init__(self, dim: int, inner: int, out: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, inner)
        self.fc2 = nn.Linear(inner, out)
        self._row_ops = 2.0 * inner * (dim + out)

    def __call__(self, x: mx.array) -> mx.array:
        return bounds.in_rows(self._whole, x, self._row_ops)

    def _whole(self, x: mx.array) -> mx.array:
        return self.fc2(gelu_approx(self.fc1(x)))


class Block(nn.Module):
    """Self-attention, cross-attention to the text and feed-forward on tokens [B, T, S, C].

    The first and the last are shifted, scaled and gated by the timestep; the cross-attention has
    neither norm nor gate.
    """

    def __init__(self, config: STDiT3Config):
        super().__init__()
        dim = config.hidden_size
        self.scale_shift_table = mx.zeros((6, dim))
        self.attn = Attention(config)
        self.cross_attn = CrossAttention(config)
        self.mlp = MLP(dim, int(dim * config.mlp_ratio), dim)

    def __call__(
        self,
        x: mx.array,
        ada: mx.array,
        text: mx.array,
        mask: mx.array | None,
        rope: Rotary,
        over: str | None,
    ) -> mx.array:
        """ada [B, T or 1, 6, C]: the modulation by the timestep, of each frame or of all.

        over: as in :class:`Attention`, or None for no self-attention.
        """
        modulation = mx.moveaxis((self.scale_shift_table + ada)[:, :, :, None], 2, 0)
        gate1, shift2, scale2, gate2 = modulation[2:]
        b, t, s, c = x.shape
        if over is not None:
            x = gated(x, self.attn(self.modulated(x, ada), over, rope), gate1)
        h = self.cross_attn(x.reshape(b, t * s, c), text, mask).reshape(x.shape)
        x, h = added_and_modulated(x, h, None, shift2, scale2, EPS)
        return gated(x, self.mlp(h), gate2)

    def modulated(self, x: mx.array, ada: mx.array) -> mx.array:
        """What its self-attention reads, of tokens x."""
        shift, scale = mx.moveaxis((self.scale_shift_table + ada)[:, :, :2, None], 2, 0)
        return modulated(x, shift, scale, EPS)


class ScalarEmbedder(nn.Module):
    """Sinusoids of numbers [B] through a two-layer perceptron, [B, C].

    The numbers are timesteps from 0 to 1000, or frames a second; the sinusoids are computed in
    float32.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.mlp = [nn.Linear(SINUSOIDS, dim), nn.SiLU(), nn.Linear(dim, dim)]

    def __call__(self, numbers: mx.array) -> mx.array:
        dtype = self.mlp[0].weight.dtype
        return chain(self.mlp, timestep_embedding(numbers, SINUSOIDS).astype(dtype))


class CaptionEmbedder(nn.Module):
    """The text encoder's states [B, L, D] at the blocks' width, [B, L, C].

    `y_embedding` [max length, D] are the states of no prompt, for classifier-free guidance.
    """

    def __init__(self, config: STDiT3Config):
        super().__init__()
        self.y_embedding = mx.zeros((config.model_max_length, config.caption_channels))
        self.y_proj = MLP(config.caption_channels, config.hidden_size, config.hidden_size)

    def __call__(self, text: mx.array) -> mx.array:
        return self.y_proj(text)


class FinalLayer(nn.Module):
    """Tokens [B, T, S, C] as patches, shifted and scaled by the timestep [B, T or 1, C]."""

    def __init__(self, config: STDiT3Config):
        super().__init__()
        self.scale_shift_table = mx.zeros((2, config.hidden_size))
        self.linear = nn.Linear(config.hidden_size, config.patch_size[1] ** 2 * config.out_channels)

    def __call__(self, x: mx.array, time: mx.array) -> mx.array:
        shift = (self.scale_shift_table[0] + time)[:, :, None]
        scale = (self.scale_shift_table[1] + time)[:, :, None]
        return self.linear(modulated(x, shift, scale, EPS))


class STDiT3(nn.Module):
    """The velocity of noisy latents in a rectified flow from noise to x0.

    Open-Sora 1.2 (arXiv:2412.20404; hpcaitech/Open-Sora, v1.2.0).
    """

    def __init__(self, config: STDiT3Config):
        super().__init__()
        self.config = config
        dim = config.hidden_size
        self.x_embedder = PatchEmbed(config.in_channels, config.patch_size[1], dim)
        self.t_embedder = ScalarEmbedder(dim)
        self.fps_embedder = ScalarEmbedder(dim)
        self.t_block = [nn.SiLU(), nn.Linear(dim, 6 * dim)]
        self.y_embedder = CaptionEmbedder(config)
        self.spatial_blocks = [Block(config) for _ in range(config.depth)]
        self.temporal_blocks = [Block(config) for _ in range(config.depth)]
        self.final_layer = FinalLayer(config)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The patch convolution as a matrix, and no rotary frequencies.

        The frequencies are constant, not in every checkpoint, and rounded in those of half
        precision: they are computed instead.
        """
        weights = dict(weights)
        weights.pop("rope.freqs", None)
        if "x_embedder.proj.weight" in weights:
            weights["x_embedder.proj.weight"] = patch_matrix(weights["x_embedder.proj.weight"])
        return weights

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the blocks' matrices.

        Patches, text, timestep and output set the scale of everything and stay precise.
        """
        in_block = name.startswith(("spatial_blocks.", "temporal_blocks."))
        return in_block and isinstance(module, nn.Linear)

    @staticmethod
    def shares() -> Shares:
        """What of the blocks several machines share."""
        return {
            "*_blocks.*.attn.qkv": fused(3),
            "*_blocks.*.cross_attn.q_linear": OUTPUTS,
            "*_blocks.*.cross_attn.kv_linear": fused(2),
            "*_blocks.*attn.proj": INPUTS,
            "*_blocks.*.mlp.fc1": OUTPUTS,
            "*_blocks.*.mlp.fc2": INPUTS,
        }

    def positions(self, h: int, w: int, height: float, width: float) -> mx.array:
        """Position embedding of h x w tokens for height x width pixels, float32 [h*w, C]."""
        scale = math.sqrt(height * width) / self.config.input_sq_size
        return sines_2d(h, w, self.config.hidden_size, round(math.sqrt(h * w)), scale)

    def time(self, timestep: mx.array, fps: mx.array, x_mask: mx.array | None) -> mx.array:
        """The embedding of timestep and frame rate, [B, 1, C].

        With x_mask [B, F] it is [B, F, C], where frames that are false have timestep 0.
        """
        rate = self.fps_embedder(fps)[:, None]
        noisy = self.t_embedder(timestep)[:, None] + rate
        if x_mask is None:
            return noisy
        clean = self.t_embedder(mx.zeros_like(timestep))[:, None] + rate
        return mx.where(x_mask[..., None], noisy, clean)

    def __call__(
        self,
        x: mx.array,
        timestep: mx.array,
        text: mx.array,
        mask: mx.array | None,
        fps: mx.array,
        height: float,
        width: float,
        x_mask: mx.array | None = None,
        attention: str = "factored",
    ) -> mx.array:
        """The velocity (x0 - noise) of noisy latents, [B, F, H, W, out_channels].

        Where pred_sigma is set, the second half of the channels is unused.

        x: noisy latents [B, F, H, W, C]; odd sides are padded within.
        timestep [B], 0 to 1000, fractions allowed.
        text [B, L, D]: the encoder's states; mask bool [B, L]: which of them are tokens, None for
        all.
        fps [B]; height, width: the requested size in pixels, which need not be 8 times the
        latents'.
        x_mask bool [B, F]: true for frames at `timestep`, false for given ones, which are at
        timestep 0; None for all true.
        attention: "factored"; "full": the spatial blocks attend to all tokens of the clip;
        "spatial": the temporal blocks don't attend over time (they still read the text).

        In frames that x_mask calls given, the result is not the reference's: its last layer norms
        and modulates those twice. No sampler uses them.
        """
        dtype = self.final_layer.linear.weight.dtype
        patch = self.config.patch_size[1]
        high, wide = x.shape[2:4]
        below = -high % patch
        right = -wide % patch
        x = mx.pad(x.astype(dtype), [(0, 0), (0, 0), (0, below), (0, right), (0, 0)])
        x = self.x_embedder(x)
        b, t, h, w, c = x.shape
        x = x.reshape(b, t, h * w, c) + self.positions(h, w, height, width).astype(dtype)
        time = self.time(timestep, fps, x_mask)
        ada = chain(self.t_block, time).reshape(b, -1, 6, c)
        text = self.y_embedder(text.astype(dtype))
        if mask is not None:
            mask = mask[:, None, None]
        cos, sin = rope_1d(mx.arange(t), self.config.head_dim, ROPE_THETA)
        rope = Rotary(cos, sin, "interleaved")
        over_space = "clip" if attention == "full" else "space"
        over_time = None if attention == "spatial" else "time"
        keys = h * w * (t if attention == "full" else 1)
        inner = int(c * self.config.mlp_ratio)
        block_ops = bounds.block_ops(b * t * h * w, c, inner, keys)
        pace = bounds.Pace(2 * self.config.depth, block_ops)

        def blocks(x: mx.array) -> mx.array:
            pairs = zip(self.spatial_blocks, self.temporal_blocks, strict=True)
            for number, (spatial, temporal) in enumerate(pairs):
                if not stack.is_kept(number):
                    continue
                x = pace.passed(spatial(x, ada, text, mask, rope, over_space))
                x = pace.passed(temporal(x, ada, text, mask, rope, over_time))
            return x

        x = stack.through(x, lambda: self.spatial_blocks[0].modulated(x, ada), blocks)
        x = self.final_layer(x, time)
        return unfold(x.reshape(b, t, h, w, -1), 1, patch)[:, :, :high, :wide]
