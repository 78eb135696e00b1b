"""Wan 2.1's diffusion transformer: full self-attention, cross-attention to text and picture.

Names and maths are those of Diffusers' ``WanTransformer3DModel`` (arXiv:2503.20314). The weights
may be in half precision; norms, modulation, timestep embedding, rotary position embedding and the
output are computed in float32, as in the original release.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from mlxvid.kernels import Rotary, added_and_modulated, gated, modulated
from mlxvid.layers import bounds, stack
from mlxvid.layers.attention import FeedForwardNet, attend
from mlxvid.layers.embeddings import TextProjection, TimestepEmbedding
from mlxvid.layers.patches import fold, unfold
from mlxvid.layers.pixart import patch_matrix
from mlxvid.layers.processor import silu
from mlxvid.layers.rope import rope_3d
from mlxvid.layers.sharded import INPUTS, NORM, OUTPUTS, Shares, normed_rotated

from .config import WanTransformerConfig
from .few_steps import GATE
from .original import FUSED_LAYERS, PICTURE_LAYERS, original_name

ROPE_THETA = 10000.0
# Parts of the names of tensors that stay in float32.
FLOAT32 = frozenset({"time_embedder", "scale_shift_table", "norm1", "norm2"})


class WanAttention(nn.Module):
    """Self-attention of tokens [B, N, C], or cross-attention to a text and a picture.

    Queries and keys are RMS-normed across all heads.
    """

    def __init__(self, config: WanTransformerConfig, added_dim: int | None = None):
        super().__init__()
        dim = config.hidden_size
        self.head_dim = config.attention_head_dim
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.to_out = [nn.Linear(dim, dim)]
        self.norm_q = nn.RMSNorm(dim, eps=config.eps)
        self.norm_k = nn.RMSNorm(dim, eps=config.eps)
        if added_dim is not None:
            self.add_k_proj = nn.Linear(added_dim, dim)
            self.add_v_proj = nn.Linear(added_dim, dim)
            self.norm_added_k = nn.RMSNorm(dim, eps=config.eps)

    def over_tokens(self, x: mx.array, rope: Rotary) -> mx.array:
        """Self-attention with rotary position embedding."""
        q = self._rotated(self.norm_q, self.to_q, x, rope)
        k = self._rotated(self.norm_k, self.to_k, x, rope)
        v = self._heads(bounds.linear(self.to_v, x))
        return self._joined(attend(q, k, v))

    def over_conditions(self, x: mx.array, text: mx.array, image: mx.array | None) -> mx.array:
        """Cross-attention to text [B, L, C] and, separately, to image [B, L', C]."""
        q = self._heads(self.norm_q(bounds.linear(self.to_q, x)))
        k = self._heads(self.norm_k(self.to_k(text)))
        v = self._heads(self.to_v(text))
        out = attend(q, k, v)
        if image is not None:
            image_k = self._heads(self.norm_added_k(self.add_k_proj(image)))
            image_v = self._heads(self.add_v_proj(image))
            out = out + attend(q, image_k, image_v)
        return self._joined(out)

    def _rotated(self, norm: nn.RMSNorm, layer: nn.Module, x: mx.array, rope: Rotary) -> mx.array:
        """layer(x), normed and rotated, in heads: [B, N, C] -> [B, H, N, D]."""
        x = self._split(bounds.linear(layer, x))
        return normed_rotated(norm, x, rope).transpose(0, 2, 1, 3)

    def _split(self, x: mx.array) -> mx.array:
        """[B, N, C] -> [B, N, H, D]."""
        return x.reshape(*x.shape[:2], -1, self.head_dim)

    def _heads(self, x: mx.array) -> mx.array:
        """[B, N, C] -> [B, H, N, D]."""
        return self._split(x).transpose(0, 2, 1, 3)

    def _joined(self, x: mx.array) -> mx.array:
        b, _, n, _ = x.shape
        return bounds.linear(self.to_out[0], x.transpose(0, 2, 1, 3).reshape(b, n, -1))


class WanTransformerBlock(nn.Module):
    """Self-attention, cross-attention and feed-forward.

    The first and the last are shifted, scaled and gated by the timestep.
    """

    def __init__(self, config: WanTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.eps = config.eps
        self.attn1 = WanAttention(config)
        self.attn2 = WanAttention(config, config.added_kv_proj_dim)
        self.norm2 = nn.LayerNorm(dim, eps=config.eps) if config.cross_attn_norm else nn.Identity()
        self.ffn = FeedForwardNet(dim, config.ffn_dim, dim)
        self.scale_shift_table = mx.zeros((1, 6, dim))

    def __call__(
        self, x: mx.array, text: mx.array, image: mx.array | None, ada: mx.array, rope: Rotary
    ) -> mx.array:
        """x [B, N, C]; ada float32 [B, 6, C]: the modulation by the timestep, for all blocks."""
        modulation = self.scale_shift_table + ada
        shift1, scale1, gate1, shift3, scale3, gate3 = mx.split(modulation, 6, axis=1)
        h = self.attn1.over_tokens(modulated(x, shift1, scale1, self.eps), rope)
        x, h = self._added_and_normed(x, h, gate1)
        h = self.attn2.over_conditions(h, text, image)
        x, h = added_and_modulated(x, h, None, shift3, scale3, self.eps)
        return gated(x, self.ffn(h), gate3)

    def _added_and_normed(
        self, x: mx.array, change: mx.array, gate: mx.array
    ) -> tuple[mx.array, mx.array]:
        """x + change * gate, and what the cross-attention reads of that."""
        if isinstance(self.norm2, nn.Identity):
            x = gated(x, change, gate)
            return x, x
        bias = mx.broadcast_to(self.norm2.bias, gate.shape)
        weight = mx.broadcast_to(self.norm2.weight, gate.shape)
        return added_and_modulated(x, change, gate, bias, weight, self.eps, offset=0)


class WanImageEmbedding(nn.Module):
    """CLIP's states of the pictures at the transformer's width, [B, L, dim] -> [B, L, out]."""

    def __init__(self, dim: int, out: int, length: int | None):
        """length: the number of tokens with learned positions; None: no positions."""
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.ff = FeedForwardNet(dim, dim, out, nn.gelu)
        self.norm2 = nn.LayerNorm(out)
        if length is not None:
            self.pos_embed = mx.zeros((1, length, dim))

    def __call__(self, image: mx.array) -> mx.array:
        dtype = self.ff.net[0].proj.weight.dtype
        image = image.astype(mx.float32)
        if "pos_embed" in self:
            image = image + self.pos_embed
        image = self.ff(self.norm1(image).astype(dtype))
        return self.norm2(image.astype(mx.float32)).astype(dtype)


class WanTimeTextImageEmbedding(nn.Module):
    """Embeddings of the blocks' conditions: timestep, text and pictures."""

    def __init__(self, config: WanTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.time_embedder = TimestepEmbedding(dim, config.freq_dim)
        self.time_proj = nn.Linear(dim, 6 * dim)
        self.text_embedder = TextProjection(config.text_dim, dim)
        if config.image_dim is not None:
            self.image_embedder = WanImageEmbedding(config.image_dim, dim, config.pos_embed_seq_len)

    def __call__(
        self, timestep: mx.array, text: mx.array, image: mx.array | None
    ) -> tuple[mx.array, mx.array, mx.array, mx.array | None]:
        """The timestep's embedding, the blocks' modulation, and text and image for the blocks.

        timestep [B] -> [B, C] and [B, 6, C], both float32; text and image -> [B, L, C] and
        [B, L', C].
        """
        time = self.time_embedder(timestep).astype(mx.float32)
        ada = self.time_proj(silu(time)).reshape(timestep.shape[0], 6, -1)
        text = self.text_embedder(text.astype(self.text_embedder.linear_1.weight.dtype))
        if image is not None:
            image = self.image_embedder(image)
        return time, ada, text, image


class WanTransformer3DModel(nn.Module):
    """The velocity of noisy latents in a rectified flow, for every model of the Wan 2.1 release."""

    original_name = staticmethod(original_name)
    FUSED_LAYERS = FUSED_LAYERS
    PICTURE_LAYERS = PICTURE_LAYERS

    def __init__(self, config: WanTransformerConfig):
        super().__init__()
        self.config = config
        dim = config.hidden_size
        patch = math.prod(config.patch_size)
        out_channels = config.out_channels or config.in_channels
        self.patch_embedding = nn.Linear(patch * config.in_channels, dim)
        self.condition_embedder = WanTimeTextImageEmbedding(config)
        self.blocks = [WanTransformerBlock(config) for _ in range(config.num_layers)]
        self.scale_shift_table = mx.zeros((1, 2, dim))
        self.proj_out = nn.Linear(dim, patch * out_channels)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The patch convolution as a matrix, and neither a norm of added queries, which early
        conversions have and nothing reads, nor the gates of sparse attention.
        """
        kept = {}
        for name, weight in weights.items():
            if ".norm_added_q." not in name and GATE not in name:
                kept[name] = weight
        if "patch_embedding.weight" in kept:
            kept["patch_embedding.weight"] = patch_matrix(kept["patch_embedding.weight"])
        return kept

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the blocks' matrices.

        Patches, timestep, text, picture and output set the scale of everything and stay precise.
        """
        return name.startswith("blocks.") and isinstance(module, nn.Linear)

    @staticmethod
    def shares() -> Shares:
        """What of the blocks several machines share."""
        return {
            "blocks.*.attn?.to_[qkv]": OUTPUTS,
            "blocks.*.attn2.add_[kv]_proj": OUTPUTS,
            "blocks.*.attn?.norm_*": NORM,
            "blocks.*.attn?.to_out.0": INPUTS,
            "blocks.*.ffn.net.0.proj": OUTPUTS,
            "blocks.*.ffn.net.2": INPUTS,
        }

    @staticmethod
    def stays_float32(name: str) -> bool:
        """Whether a tensor stays float32 when others are in half precision, as in Diffusers."""
        return not FLOAT32.isdisjoint(name.split("."))

    def set_dtype(
        self,
        dtype: mx.Dtype,
        predicate: Callable[[mx.Dtype], bool] | None = lambda x: mx.issubdtype(x, mx.floating),
    ) -> None:
        """Set the type of all tensors except those that stay in float32."""
        # Without a destination, tree_flatten returns a list.
        tensors = cast(list[tuple[str, mx.array]], tree_flatten(self.parameters()))
        kept = []
        for name, tensor in tensors:
            if self.stays_float32(name):
                kept.append((name, tensor.astype(mx.float32)))
        super().set_dtype(dtype, predicate)
        self.update(tree_unflatten(kept))

    def rope(self, t: int, h: int, w: int) -> Rotary:
        """Rotary tables of a token grid.

        A third of each head's channels encodes height, a third width, the rest time.
        """
        head = self.config.attention_head_dim
        side = 2 * (head // 6)
        return rope_3d(t, h, w, (head - 2 * side, side, side), ROPE_THETA, "interleaved")

    def __call__(
        self, x: mx.array, timestep: mx.array, text: mx.array, image: mx.array | None = None
    ) -> mx.array:
        """The velocity (noise - x0), float32 [B, F, H, W, C_out].

        x: noisy latents [B, F, H, W, C_in], with mask and condition in the last channels where the
        model has them; F, H and W are multiples of the patch size.
        timestep [B], 0 to 1000.
        text [B, L, text_dim]: the encoder's states, all of which are read (the model was trained
        with 512, zeros beyond the prompt's end).
        image [B, L', image_dim]: CLIP's states of the picture, or of the first and then the last
        one. Raises ValueError where the config has an `image_dim` and there is no image, or the
        other way round.
        """
        config = self.config
        if image is None and config.image_dim is not None:
            raise ValueError("no image for a model that needs one")
        if image is not None and config.image_dim is None:
            raise ValueError("an image for a model that reads none")
        x = fold(x.astype(self.patch_embedding.weight.dtype), *config.patch_size[:2])
        x = self.patch_embedding(x)
        b, t, h, w, c = x.shape
        n = t * h * w
        rope = self.rope(t, h, w)
        x = x.reshape(b, n, c)
        time, ada, text, image = self.condition_embedder(timestep, text, image)
        block_ops = bounds.block_ops(b * n, c, config.ffn_dim, n)
        pace = bounds.Pace(len(self.blocks), block_ops)

        def blocks(x: mx.array) -> mx.array:
            for block in stack.kept(self.blocks):
                x = pace.passed(block(x, text, image, ada, rope))
            return x

        x = stack.through(x, lambda: time, blocks)
        shift, scale = mx.split(self.scale_shift_table + time[:, None], 2, axis=1)
        x = self.proj_out(modulated(x.astype(mx.float32), shift, scale, config.eps))
        return unfold(x.reshape(b, t, h, w, -1), *config.patch_size[:2])
