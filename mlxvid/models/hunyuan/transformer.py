"""HunyuanVideo's diffusion transformer: video and text in two streams, then in one.

Names and maths are those of Diffusers' HunyuanVideoTransformer3DModel (arXiv:2412.03603).
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from mlxvid.kernels import (
    Rotary,
    added_and_modulated,
    gated,
    joined_gelu,
    modulated,
    normed_rotated,
)
from mlxvid.layers import bounds, stack
from mlxvid.layers.attention import FeedForwardNet, attend
from mlxvid.layers.patches import fold, unfold
from mlxvid.layers.pixart import patch_matrix
from mlxvid.layers.processor import gelu_approx, silu
from mlxvid.layers.rope import rope_3d
from mlxvid.layers.sharded import INPUTS, OUTPUTS, WHOLE, Shares, joined

from .conditions import EPS, ConditionEmbedding, Modulation, TokenRefiner
from .config import HunyuanVideoTransformerConfig
from .original import FUSED_LAYERS, lora_tensors, original_name, repackaged_name

SMALLER_PARTS = 8


class Attention(nn.Module):
    """Attention over the tokens [B, N, C] of video and text; queries and keys are normed per head.

    In the dual blocks text has layers of its own (`two`); in the single ones the block's last layer
    is the output's.
    """

    def __init__(self, config: HunyuanVideoTransformerConfig, two: bool):
        super().__init__()
        dim = config.hidden_size
        self.head_dim = config.attention_head_dim
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.norm_q = nn.RMSNorm(self.head_dim, eps=EPS)
        self.norm_k = nn.RMSNorm(self.head_dim, eps=EPS)
        if two:
            self.add_q_proj = nn.Linear(dim, dim)
            self.add_k_proj = nn.Linear(dim, dim)
            self.add_v_proj = nn.Linear(dim, dim)
            self.norm_added_q = nn.RMSNorm(self.head_dim, eps=EPS)
            self.norm_added_k = nn.RMSNorm(self.head_dim, eps=EPS)
            self.to_out = [nn.Linear(dim, dim)]
            self.to_add_out = nn.Linear(dim, dim)

    def over_both(self, x: mx.array, text: mx.array, rope: Rotary) -> tuple[mx.array, mx.array]:
        """Of video and text, each with its own layers."""
        added_q = (self._split(self.add_q_proj, text), self.norm_added_q.weight)
        added_k = (self._split(self.add_k_proj, text), self.norm_added_k.weight)
        q = self._rotated(self.norm_q, self.to_q, x, rope, added_q)
        k = self._rotated(self.norm_k, self.to_k, x, rope, added_k)
        v = [self._split(self.to_v, x), self._split(self.add_v_proj, text)]
        out = self._attended(q, k, mx.concatenate(v, axis=1))
        video, words = mx.split(out, [x.shape[1]], axis=1)
        return bounds.linear(self.to_out[0], video), self.to_add_out(words)

    def over_tokens(self, x: mx.array, rope: Rotary) -> mx.array:
        """Of video and text in one stream, without an output layer."""
        q = self._rotated(self.norm_q, self.to_q, x, rope)
        k = self._rotated(self.norm_k, self.to_k, x, rope)
        return self._attended(q, k, self._split(self.to_v, x))

    def _rotated(
        self,
        norm: nn.RMSNorm,
        layer: nn.Module,
        x: mx.array,
        rope: Rotary,
        text: tuple[mx.array, mx.array] | None = None,
    ) -> mx.array:
        """layer(x), normed and rotated, in heads, [B, N, C] -> [B, N, H, D], before the text's
        heads and the weight of their norm.
        """
        return normed_rotated(self._split(layer, x), norm.weight, rope, norm.eps, more=text)

    def _split(self, layer: nn.Module, x: mx.array) -> mx.array:
        """layer(x) in heads, [B, N, C] -> [B, N, H, D]."""
        return bounds.linear(layer, x).reshape(*x.shape[:2], -1, self.head_dim)

    @staticmethod
    def _attended(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        """[B, N, H, D] each -> [B, N, C]."""
        out = attend(*(part.transpose(0, 2, 1, 3) for part in (q, k, v)))
        return out.transpose(0, 2, 1, 3).reshape(*q.shape[:2], -1)


class DualBlock(nn.Module):
    """Joint attention and feed-forward, with layers and modulation of their own for each stream."""

    def __init__(self, config: HunyuanVideoTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.norm1 = Modulation(dim, 6)
        self.norm1_context = Modulation(dim, 6)
        self.attn = Attention(config, two=True)
        self.ff = FeedForwardNet(dim, config.mlp_size, dim)
        self.ff_context = FeedForwardNet(dim, config.mlp_size, dim)

    def __call__(
        self, x: mx.array, text: mx.array, condition: mx.array, front: int, rope: Rotary
    ) -> tuple[mx.array, mx.array]:
        """x [B, N, C]; text [B, L, C]; condition [B, K, C]; rope: of all N + L tokens."""
        shift, scale, gate, ff_shift, ff_scale, ff_gate = self.norm1(condition)
        of_text = self.norm1_context(condition[:, :1])
        h, words = self.attn.over_both(
            modulated(x, shift, scale, EPS, front=front),
            modulated(text, of_text[0], of_text[1], EPS),
            rope,
        )
        x, h = added_and_modulated(x, h, gate, ff_shift, ff_scale, EPS, front=front)
        x = gated(x, self.ff(h), ff_gate, front)
        text, words = added_and_modulated(text, words, of_text[2], of_text[3], of_text[4], EPS)
        return x, gated(text, self.ff_context(words), of_text[5])

    def modulated(self, x: mx.array, condition: mx.array, front: int) -> mx.array:
        """What the attention reads of the video's tokens x."""
        shift, scale = self.norm1(condition)[:2]
        return modulated(x, shift, scale, EPS, front=front)


class SingleBlock(nn.Module):
    """Attention beside a feed-forward on the tokens [B, N + L, C] of video and text."""

    def __init__(self, config: HunyuanVideoTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        inner = config.mlp_size
        # Counted as so many times as much work: a part holds nine widths a token, the rest of the
        # block seven.
        self._row_ops = SMALLER_PARTS * 2.0 * dim * (dim + 2 * inner)
        self.norm = Modulation(dim, 3)
        self.attn = Attention(config, two=False)
        self.proj_mlp = nn.Linear(dim, inner)
        self.proj_out = nn.Linear(dim + inner, dim)

    def __call__(self, x: mx.array, condition: mx.array, front: int, rope: Rotary) -> mx.array:
        shift, scale, gate = self.norm(condition)
        h = modulated(x, shift, scale, EPS, front=front)
        attended = self.attn.over_tokens(h, rope)
        return gated(x, bounds.in_rows(self._merged, h, self._row_ops, attended), gate, front)

    def _merged(self, h: mx.array, attended: mx.array) -> mx.array:
        """The output layer on attention and feed-forward."""
        return self.proj_out(joined_gelu(attended, self.proj_mlp(h), gelu_approx))


class HunyuanVideoTransformer3DModel(nn.Module):
    """The velocity of noisy latents in a rectified flow, from a text, or a text and a picture."""

    # By what names LoRAs have its layers.
    original_name = staticmethod(original_name)
    repackaged_name = staticmethod(repackaged_name)
    lora_tensors = staticmethod(lora_tensors)
    FUSED_LAYERS = FUSED_LAYERS

    def __init__(self, config: HunyuanVideoTransformerConfig):
        super().__init__()
        self.config = config
        dim = config.hidden_size
        patch = config.patch_size_t * config.patch_size**2
        self.x_embedder = {"proj": nn.Linear(patch * config.in_channels, dim)}
        self.context_embedder = TokenRefiner(config)
        self.time_text_embed = ConditionEmbedding(config)
        self.transformer_blocks = [DualBlock(config) for _ in range(config.num_layers)]
        self.single_transformer_blocks = [
            SingleBlock(config) for _ in range(config.num_single_layers)
        ]
        self.norm_out = Modulation(dim, 2)
        self.proj_out = nn.Linear(dim, patch * (config.out_channels or config.in_channels))

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The patch convolution as a matrix."""
        name = "x_embedder.proj.weight"
        if name not in weights:
            return weights
        return {**weights, name: patch_matrix(weights[name])}

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the blocks' matrices.

        Patches, text, timestep and output set the scale of everything and stay precise.
        """
        in_block = name.startswith(("transformer_blocks.", "single_transformer_blocks."))
        return in_block and isinstance(module, nn.Linear)

    def shares(self) -> Shares:
        """What of the blocks several machines share; of the modulation each computes a part."""
        config = self.config
        return {
            "single_transformer_blocks.*.proj_mlp": OUTPUTS,
            "single_transformer_blocks.*.proj_out": joined(config.hidden_size, config.mlp_size),
            "*transformer_blocks.*.norm*.linear": WHOLE,
            "*transformer_blocks.*.attn.to_[qkv]": OUTPUTS,
            "transformer_blocks.*.attn.add_[qkv]_proj": OUTPUTS,
            "transformer_blocks.*.attn.to_out.0": INPUTS,
            "transformer_blocks.*.attn.to_add_out": INPUTS,
            "transformer_blocks.*.ff*.net.0.proj": OUTPUTS,
            "transformer_blocks.*.ff*.net.2": INPUTS,
        }

    def rope(
        self, t: int, h: int, w: int, text: int, lowered: tuple[int, int] | None = None
    ) -> Rotary:
        """Rotary tables of a token grid and then of `text` tokens, which have no positions.

        lowered: a frequency in time, as in :func:`mlxvid.layers.rope.rope_1d`.
        """
        axes = self.config.rope_axes_dim
        dims = (axes[0], axes[1], axes[2])
        tables = rope_3d(t, h, w, dims, self.config.rope_theta, "interleaved", lowered)
        unmoved = (text, tables.cos.shape[1])
        return Rotary(
            mx.concatenate([tables.cos, mx.ones(unmoved)]),
            mx.concatenate([tables.sin, mx.zeros(unmoved)]),
            "interleaved",
        )

    def __call__(
        self,
        x: mx.array,
        timestep: mx.array,
        text: mx.array,
        pooled: mx.array,
        guidance: mx.array | None = None,
        lowered: tuple[int, int] | None = None,
    ) -> mx.array:
        """The velocity (noise - x0), [B, F, H, W, C_out].

        x: noisy latents [B, F, H, W, C_in]; F, H and W are multiples of the patch.
        timestep [B], 0 to 1000. text [B, L, D]: the encoder's states without padding, all of which
        are read: prompts of different lengths follow each other. pooled [B, P]: the pooled state
        of the other text encoder. guidance [B]: 1000 times the scale, where the model has it as an
        input. lowered: as in :meth:`rope`. Raises ValueError where guidance is missing, or has no
        place.
        """
        config = self.config
        if (guidance is not None) != config.guidance_embeds:
            raise ValueError("guidance is an input of exactly those models with guidance_embeds")
        dtype = self.proj_out.weight.dtype
        tokens = self.x_embedder["proj"](
            fold(x.astype(dtype), config.patch_size_t, config.patch_size)
        )
        b, t, h, w, c = tokens.shape
        n = t * h * w
        x = tokens.reshape(b, n, c)
        condition = silu(self.time_text_embed(timestep, pooled.astype(dtype), guidance))
        text = self.context_embedder(text.astype(dtype), timestep)
        total = n + text.shape[1]
        rope = self.rope(t, h, w, text.shape[1], lowered)
        front = h * w if config.replaces_tokens else 0
        count = len(self.transformer_blocks) + len(self.single_transformer_blocks)
        pace = bounds.Pace(count, bounds.block_ops(b * total, c, config.mlp_size, total))

        def blocks(x: mx.array) -> mx.array:
            words = text
            for dual in stack.kept(self.transformer_blocks):
                x, words = dual(x, words, condition, front, rope)
                x = pace.passed(mx.depends(x, words))  # or these would hold all of the attention
            x = mx.concatenate([x, words], axis=1)
            duals = len(self.transformer_blocks)
            for single in stack.kept(self.single_transformer_blocks, duals):
                x = pace.passed(single(x, condition, front, rope))
            return x[:, :n]

        first = self.transformer_blocks[0]
        x = stack.through(x, lambda: first.modulated(x, condition, front), blocks)
        # Scale before shift, unlike in the blocks.
        scale, shift = self.norm_out(condition[:, :1])
        x = self.proj_out(modulated(x, shift, scale, EPS)).reshape(b, t, h, w, -1)
        return self._unpatched(x)

    def _unpatched(self, x: mx.array) -> mx.array:
        """[B, t, h, w, ...] -> [B, F, H, W, C]; a patch's channels stand before its positions."""
        patch = self.config.patch_size_t * self.config.patch_size**2
        by_position = x.reshape(*x.shape[:4], -1, patch).swapaxes(-1, -2)
        return unfold(
            by_position.reshape(x.shape), self.config.patch_size_t, self.config.patch_size
        )
