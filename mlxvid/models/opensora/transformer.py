"""Open-Sora's transformer (STDiT3): blocks over space and blocks over time in turn, all of which
read the prompt.
"""

from __future__ import annotations

import math

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import Rotary, temporal_attention
from mlxvid.layers.attention import attend
from mlxvid.layers.embeddings import timestep_embedding
from mlxvid.layers.patches import unfold
from mlxvid.layers.pixart import PatchEmbed, modulated, patch_matrix, sines_2d
from mlxvid.layers.rope import rope_1d

from .config import STDiT3Config

WAVES = 256  # the width of the sinusoids of time and frame rate
ROPE_THETA = 10000.0


def chain(layers: list[nn.Module], x: mx.array) -> mx.array:
    """`x` through `layers`, one after the other. They stand in lists because the checkpoint numbers
    them.
    """
    for layer in layers:
        x = layer(x)
    return x


class Attention(nn.Module):
    """Attention of tokens [B, T, S, C] among those of one frame, one position or the whole clip."""

    def __init__(self, config: STDiT3Config):
        super().__init__()
        self.head_dim, dim = config.head_dim, config.hidden_size
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_norm, self.k_norm = (
            nn.RMSNorm(self.head_dim, eps=1e-6) if config.qk_norm else None for _ in range(2)
        )
        self.proj = nn.Linear(dim, dim)

    def __call__(self, x: mx.array, over: str, rope: Rotary) -> mx.array:
        """`over`: "space", "time" or "clip". Only over time are queries and keys rotated."""
        b, t, s, c = x.shape
        qkv = self.qkv(x).reshape(b, t, s, 3, -1, self.head_dim)
        if over == "time":
            norms = (norm.weight if norm else None for norm in (self.q_norm, self.k_norm))
            return self.proj(temporal_attention(qkv, *norms, rope))
        n = s if over == "space" else t * s
        q, k, v = qkv.reshape(b * t * s // n, n, 3, -1, self.head_dim).transpose(2, 0, 3, 1, 4)
        if self.q_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        return self.proj(attend(q, k, v).transpose(0, 2, 1, 3).reshape(b, t, s, c))


class CrossAttention(nn.Module):
    """Attention of tokens [B, N, C] to a text [B, L, C], of which `mask` [B, 1, 1, L] is true where
    it has a token (None: everywhere).
    """

    def __init__(self, config: STDiT3Config):
        super().__init__()
        self.head_dim, dim = config.head_dim, config.hidden_size
        self.q_linear = nn.Linear(dim, dim)
        self.kv_linear = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def __call__(self, x: mx.array, text: mx.array, mask: mx.array | None) -> mx.array:
        b, n, c = x.shape
        q = self.q_linear(x).reshape(b, n, -1, self.head_dim).transpose(0, 2, 1, 3)
        k, v = (
            self.kv_linear(text)
            .reshape(b, text.shape[1], 2, -1, self.head_dim)
            .transpose(2, 0, 3, 1, 4)
        )
        out = mx.fast.scaled_dot_product_attention(q, k, v, scale=self.head_dim**-0.5, mask=mask)
        return self.proj(out.transpose(0, 2, 1, 3).reshape(b, n, c))


class MLP(nn.Module):
    """Two linear layers about a tanh-approximated GELU."""

    def __init__(self, dim: int, inner: int, out: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, inner)
        self.fc2 = nn.Linear(inner, out)

    def __call__(self, x: mx.array) -> mx.array:
        return self.fc2(nn.gelu_approx(self.fc1(x)))


class Block(nn.Module):
    """Self-attention, a look at the text, feed-forward, on tokens [B, T, S, C].

    The first and the last are shifted, scaled and gated by the time; the text is read as the tokens
    are, without norm or gate.
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
        """ada [B, T or 1, 6, C] is the time's modulation of all frames or each; `over`: as in
        :class:`Attention`, or None for none.
        """
        modulation = (self.scale_shift_table + ada)[:, :, :, None]
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation[:, :, i] for i in range(6))
        b, t, s, c = x.shape
        if over is not None:
            x = x + gate1 * self.attn(modulated(x, shift1, scale1), over, rope)
        x = x + self.cross_attn(x.reshape(b, t * s, c), text, mask).reshape(x.shape)
        return x + gate2 * self.mlp(modulated(x, shift2, scale2))


class WaveEmbedder(nn.Module):
    """Numbers [B] (a time from 0 to 1000, or frames a second) as [B, C]: sinusoids, in float32,
    through a two-layer perceptron.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.mlp = [nn.Linear(WAVES, dim), nn.SiLU(), nn.Linear(dim, dim)]

    def __call__(self, numbers: mx.array) -> mx.array:
        return chain(self.mlp, timestep_embedding(numbers, WAVES).astype(self.mlp[0].weight.dtype))


class CaptionEmbedder(nn.Module):
    """The text encoder's states [B, L, D] as the blocks read them, [B, L, C].

    `y_embedding` [max length, D] stands for the states of no prompt at all: guidance leads away
    from it.
    """

    def __init__(self, config: STDiT3Config):
        super().__init__()
        self.y_embedding = mx.zeros((config.model_max_length, config.caption_channels))
        self.y_proj = MLP(config.caption_channels, config.hidden_size, config.hidden_size)

    def __call__(self, text: mx.array) -> mx.array:
        return self.y_proj(text)


class FinalLayer(nn.Module):
    """Tokens [B, T, S, C] as patches, shifted and scaled by the time [B, T or 1, C]."""

    def __init__(self, config: STDiT3Config):
        super().__init__()
        self.scale_shift_table = mx.zeros((2, config.hidden_size))
        self.linear = nn.Linear(config.hidden_size, config.patch_size[1] ** 2 * config.out_channels)

    def __call__(self, x: mx.array, time: mx.array) -> mx.array:
        shift, scale = ((self.scale_shift_table[i] + time)[:, :, None] for i in (0, 1))
        return self.linear(modulated(x, shift, scale))


class STDiT3(nn.Module):
    """The velocity from noise to clip along a rectified flow (Open-Sora 1.2, arXiv:2412.20404;
    hpcaitech/Open-Sora, v1.2.0).
    """

    def __init__(self, config: STDiT3Config):
        super().__init__()
        self.config, dim = config, config.hidden_size
        self.x_embedder = PatchEmbed(config.in_channels, config.patch_size[1], dim)
        self.t_embedder = WaveEmbedder(dim)
        self.fps_embedder = WaveEmbedder(dim)
        self.t_block = [nn.SiLU(), nn.Linear(dim, 6 * dim)]
        self.y_embedder = CaptionEmbedder(config)
        self.spatial_blocks = [Block(config) for _ in range(config.depth)]
        self.temporal_blocks = [Block(config) for _ in range(config.depth)]
        self.final_layer = FinalLayer(config)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The patch convolution as the matrix that it is, and without the rotary frequencies.

        Those are never trained, not in every checkpoint, and rounded where it is in half precision:
        they are computed instead.
        """
        kept = {name: weight for name, weight in weights.items() if name != "rope.freqs"}
        return {
            name: patch_matrix(weight) if name == "x_embedder.proj.weight" else weight
            for name, weight in kept.items()
        }

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """The large matrices of the blocks; what sets the scale of things (patches, text, time,
        output) stays precise.
        """
        return name.startswith(("spatial_blocks.", "temporal_blocks.")) and isinstance(
            module, nn.Linear
        )

    def positions(self, h: int, w: int, height: float, width: float) -> mx.array:
        """float32 [h*w, C]: where in the frame each of h x w tokens stands, of a clip of height x
        width pixels.
        """
        scale = math.sqrt(height * width) / self.config.input_sq_size
        return sines_2d(h, w, self.config.hidden_size, round(math.sqrt(h * w)), scale)

    def time(self, timestep: mx.array, fps: mx.array, x_mask: mx.array | None) -> mx.array:
        """What the blocks are told of time and frame rate: [B, 1, C], or [B, F, C] where x_mask
        sends given frames to time 0.
        """
        rate = self.fps_embedder(fps)[:, None]
        now = self.t_embedder(timestep)[:, None] + rate
        if x_mask is None:
            return now
        return mx.where(
            x_mask[..., None], now, self.t_embedder(mx.zeros_like(timestep))[:, None] + rate
        )

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
        """
        x: noisy latents [B, F, H, W, C]; odd sides are padded within. timestep [B], 0 to 1000,
        fractions allowed. text [B, L, D]: the encoder's states; mask bool [B, L]: which of them are
        tokens, None for all. fps [B]; height, width: the clip's size in pixels as it was asked for,
        which need not be 8 times the latents'. x_mask bool [B, F]: true for frames at `timestep`,
        false for given ones, which are at time 0; None for all true. attention: "factored"; "full":
        the spatial blocks attend to all tokens of the clip; "spatial": the temporal blocks don't
        attend over time (they still read the text). Returns [B, F, H, W, out_channels]: the
        velocity (clip - noise) and, where pred_sigma is set, as many channels to be dropped.

        In frames that x_mask calls given, the result is not the reference's: its last layer norms
        and modulates those twice. No sampler uses them.
        """
        dtype, patch = self.final_layer.linear.weight.dtype, self.config.patch_size[1]
        high, wide = x.shape[2:4]
        x = mx.pad(
            x.astype(dtype), [(0, 0), (0, 0), (0, -high % patch), (0, -wide % patch), (0, 0)]
        )
        x = self.x_embedder(x)
        b, t, h, w, c = x.shape
        x = x.reshape(b, t, h * w, c) + self.positions(h, w, height, width).astype(dtype)
        time = self.time(timestep, fps, x_mask)
        ada = chain(self.t_block, time).reshape(b, -1, 6, c)
        text, mask = (
            self.y_embedder(text.astype(dtype)),
            None if mask is None else mask[:, None, None],
        )
        rope = Rotary(*rope_1d(mx.arange(t), self.config.head_dim, ROPE_THETA), "interleaved")
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            x = spatial(x, ada, text, mask, rope, "clip" if attention == "full" else "space")
            x = temporal(x, ada, text, mask, rope, None if attention == "spatial" else "time")
        x = self.final_layer(x, time)
        return unfold(x.reshape(b, t, h, w, -1), 1, patch)[:, :, :high, :wide]
