"""LTX-Video's diffusion transformer: a token a latent position, each at a time of its own.

Names and maths are those of Diffusers' ``LTXVideoTransformer3DModel`` (arXiv:2501.00103).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from mlxvid.kernels import Rotary, added_and_modulated, gated, modulated
from mlxvid.layers import bounds, stack
from mlxvid.layers.attention import FeedForwardNet, attend
from mlxvid.layers.embeddings import TextProjection, TimestepEmbedding
from mlxvid.layers.processor import silu
from mlxvid.layers.sharded import INPUTS, NORM, OUTPUTS, Shares, normed_rotated

from .config import LTXTransformerConfig
from .names import FUSED_LAYERS, original_name

Rope = tuple[mx.array, mx.array]
"""cos and sin, of :func:`mlxvid.models.ltx.rope.tables`."""

QK_EPS = 1e-5
OUT_EPS = 1e-6
TIME_SCALE = 1000.0


@dataclass(frozen=True)
class Times:
    """The times of tokens, from 1 (noise) to 0 (x0), each value once.

    values: float32 [K]. index: int32 [B or 1, N], the value of each token; None where all tokens
    of a row have the same, and K is then B or 1.
    """

    values: mx.array
    index: mx.array | None = None

    @classmethod
    def of(cls, times: np.ndarray) -> Times:
        """Times of rows [B], or of tokens [B or 1, N]."""
        if times.ndim == 1:
            return cls(mx.array(times.astype(np.float32)))
        values, index = np.unique(times.astype(np.float32), return_inverse=True)
        if len(values) == 1:
            return cls(mx.array(values))
        return cls(mx.array(values), mx.array(index.reshape(times.shape).astype(np.int32)))

    def spread(self, rows: mx.array) -> mx.array:
        """Rows [K, C] of the values as [B or 1, N or 1, C], for the tokens."""
        return rows[:, None] if self.index is None else rows[self.index]


class Attention(nn.Module):
    """Self-attention of tokens [B, N, C], or cross-attention to a text.

    Queries and keys are RMS-normed across all heads.
    """

    def __init__(self, config: LTXTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.head_dim = config.attention_head_dim
        self.norm_q = nn.RMSNorm(dim, eps=QK_EPS)
        self.norm_k = nn.RMSNorm(dim, eps=QK_EPS)
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.to_out = [nn.Linear(dim, dim)]

    def over_tokens(self, x: mx.array, rope: Rope) -> mx.array:
        q = self._rotated(self.norm_q, self.to_q, x, rope)
        k = self._rotated(self.norm_k, self.to_k, x, rope)
        v = self._heads(bounds.linear(self.to_v, x))
        return self._joined(attend(q, k, v))

    def over_text(self, x: mx.array, text: mx.array, mask: mx.array | None) -> mx.array:
        q = self._heads(self.norm_q(bounds.linear(self.to_q, x)))
        k = self._heads(self.norm_k(bounds.linear(self.to_k, text)))
        v = self._heads(bounds.linear(self.to_v, text))
        return self._joined(attend(q, k, v, mask))

    def passed(self, x: mx.array) -> mx.array:
        """Each token's own values in place of what it attends to."""
        return bounds.linear(self.to_out[0], bounds.linear(self.to_v, x))

    def _rotated(self, norm: nn.RMSNorm, layer: nn.Module, x: mx.array, rope: Rope) -> mx.array:
        """layer(x), normed and rotated, in heads: [B, N, C] -> [B, H, N, D]."""
        x = self._split(bounds.linear(layer, x))
        return normed_rotated(norm, x, Rotary(*rope)).transpose(0, 2, 1, 3)

    def _split(self, x: mx.array) -> mx.array:
        """[B, N, C] -> [B, N, H, D]."""
        return x.reshape(*x.shape[:2], -1, self.head_dim)

    def _heads(self, x: mx.array) -> mx.array:
        """[B, N, C] -> [B, H, N, D]."""
        return self._split(x).transpose(0, 2, 1, 3)

    def _joined(self, x: mx.array) -> mx.array:
        b, _, n, _ = x.shape
        return bounds.linear(self.to_out[0], x.transpose(0, 2, 1, 3).reshape(b, n, -1))


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention and feed-forward on tokens [B, N, C].

    The first and the last are shifted, scaled and gated by each token's time. The cross-attention
    reads the tokens as they are.
    """

    def __init__(self, config: LTXTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.eps = config.norm_eps
        self.attn1 = Attention(config)
        self.attn2 = Attention(config)
        self.ff = FeedForwardNet(dim, 4 * dim, dim)
        self.scale_shift_table = mx.zeros((6, dim))

    def __call__(
        self,
        x: mx.array,
        text: mx.array,
        mask: mx.array | None,
        times: Times,
        ada: mx.array,
        rope: Rope,
        attended: bool,
    ) -> mx.array:
        """ada [K, 6, C]: the modulation of each of the times, for all blocks.

        attended: whether tokens attend to each other, or keep their own values.
        """
        # Spread over the tokens where it is used: all six at once would be six times as large as x.
        modulation = self.scale_shift_table + ada
        shift, scale, gate, ff_shift, ff_scale, ff_gate = (modulation[:, i] for i in range(6))
        vectors = times.spread(shift), times.spread(scale)
        h = modulated(x, *vectors, self.eps, centred=False)
        h = self.attn1.over_tokens(h, rope) if attended else self.attn1.passed(h)
        x = gated(x, h, times.spread(gate))
        h = self.attn2.over_text(x, text, mask)
        vectors = times.spread(ff_shift), times.spread(ff_scale)
        x, h = added_and_modulated(x, h, None, *vectors, self.eps, centred=False)
        return gated(x, self.ff(h), times.spread(ff_gate))

    def modulated(self, x: mx.array, times: Times, ada: mx.array) -> mx.array:
        """What its self-attention reads, of tokens x."""
        modulation = self.scale_shift_table + ada
        vectors = times.spread(modulation[:, 0]), times.spread(modulation[:, 1])
        return modulated(x, *vectors, self.eps, centred=False)


class AdaLayerNormSingle(nn.Module):
    """The embedding of times [K], [K, C], and the modulation of the blocks by it, [K, 6, C]."""

    def __init__(self, dim: int):
        super().__init__()
        self.emb = {"timestep_embedder": TimestepEmbedding(dim)}
        self.linear = nn.Linear(dim, 6 * dim)

    def __call__(self, times: mx.array) -> tuple[mx.array, mx.array]:
        time = self.emb["timestep_embedder"](TIME_SCALE * times)
        return time, self.linear(silu(time)).reshape(len(times), 6, -1)


class LTXVideoTransformer3DModel(nn.Module):
    """The velocity (noise - x0) of noisy tokens in a rectified flow, of any LTX-Video 0.9."""

    original_name = staticmethod(original_name)
    FUSED_LAYERS = FUSED_LAYERS

    def __init__(self, config: LTXTransformerConfig):
        super().__init__()
        self.config = config
        dim = config.hidden_size
        self.proj_in = nn.Linear(config.in_channels, dim)
        self.scale_shift_table = mx.zeros((2, dim))
        self.time_embed = AdaLayerNormSingle(dim)
        self.caption_projection = TextProjection(config.caption_channels, dim)
        self.transformer_blocks = [TransformerBlock(config) for _ in range(config.num_layers)]
        self.proj_out = nn.Linear(dim, config.out_channels or config.in_channels)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The weights as they are."""
        return weights

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the blocks' matrices.

        Latents, time, text and output set the scale of everything and stay precise.
        """
        return name.startswith("transformer_blocks.") and isinstance(module, nn.Linear)

    @staticmethod
    def shares() -> Shares:
        """What of the blocks several machines share."""
        return {
            "transformer_blocks.*.attn?.to_[qkv]": OUTPUTS,
            "transformer_blocks.*.attn?.norm_[qk]": NORM,
            "transformer_blocks.*.attn?.to_out.0": INPUTS,
            "transformer_blocks.*.ff.net.0.proj": OUTPUTS,
            "transformer_blocks.*.ff.net.2": INPUTS,
        }

    def __call__(
        self,
        x: mx.array,
        text: mx.array,
        mask: mx.array | None,
        times: Times,
        rope: Rope,
        unattended: Collection[int] = (),
    ) -> mx.array:
        """The velocity [B, N, C_out], in the network's type.

        x [B, N, C_in]: a token a latent position. text [B, L, D]: the encoder's states; mask
        [B, L], true where there is a token, at least one a row; None where all are (see
        :func:`cut`). rope: of the tokens. unattended: blocks in whose self-attention each token
        keeps its own values (spatio-temporal guidance, arXiv:2411.18664).
        """
        dtype = self.proj_out.weight.dtype
        x = self.proj_in(x.astype(dtype))
        text = self.caption_projection(text.astype(dtype))
        keys = None if mask is None else mask[:, None, None].astype(mx.bool_)
        time, ada = self.time_embed(times.values)
        b, n, c = x.shape
        pace = bounds.Pace(len(self.transformer_blocks), bounds.block_ops(b * n, c, 4 * c, n))

        def blocks(x: mx.array) -> mx.array:
            for number, block in enumerate(self.transformer_blocks):
                attended = number not in unattended
                x = pace.passed(block(x, text, keys, times, ada, rope, attended))
            return x

        first = self.transformer_blocks[0]
        x = stack.through(x, lambda: first.modulated(x, times, ada), blocks)
        modulation = self.scale_shift_table + time[:, None]
        shift = times.spread(modulation[:, 0])
        scale = times.spread(modulation[:, 1])
        return self.proj_out(modulated(x, shift, scale, OUT_EPS))


def cut(text: mx.array, mask: np.ndarray) -> tuple[mx.array, mx.array | None]:
    """A text's states [B, L, D] and mask [B, L] without what is padding in every row.

    Padding is at the end. The mask is None where nothing of it is left.
    """
    lengths = mask.astype(bool).sum(axis=1)
    longest = int(lengths.max())
    text = text[:, :longest]
    if lengths.min() == longest:
        return text, None
    return text, mx.array(mask[:, :longest].astype(bool))
