"""Wan 2.1's diffusion transformer (arXiv:2503.20314): full attention over time, height and width,
cross-attention to text and picture.

Names and maths are those of Diffusers' ``WanTransformer3DModel``. The weights may be in half
precision; norms, modulation, the timestep's embedding, rotation and the output are worked out in
float32, as in the original release.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from mlxvid.kernels import Rotary
from mlxvid.kernels.plain import rotate
from mlxvid.layers.attention import EVAL_OPS, FeedForwardNet, attend
from mlxvid.layers.embeddings import TextProjection, TimestepEmbedding
from mlxvid.layers.patches import fold, unfold
from mlxvid.layers.pixart import modulated, patch_matrix
from mlxvid.layers.rope import rope_3d

from .config import WanTransformerConfig
from .original import original_name

ROPE_THETA = 10000.0


@partial(mx.compile, shapeless=True)
def normed(x: mx.array, shift: mx.array, scale: mx.array, eps: float) -> mx.array:
    """Adaptive layer norm in float32, returned in x's type."""
    return modulated(x.astype(mx.float32), shift, scale, eps).astype(x.dtype)


@partial(mx.compile, shapeless=True)
def gated(x: mx.array, change: mx.array, gate: mx.array) -> mx.array:
    """x + change * gate in float32, returned in x's type."""
    return (x.astype(mx.float32) + change.astype(mx.float32) * gate).astype(x.dtype)


@mx.compile
def turned(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    """Heads [B, N, H, D] turned by interleaved tables [N, D/2], in float32; returned in x's type."""
    return rotate(x[:, :, None], Rotary(cos, sin, "interleaved"))[:, :, 0]


class WanAttention(nn.Module):
    """Attention of tokens [B, N, C] among themselves, or to a text and a picture. Queries and keys
    are RMS-normed across all heads.
    """

    def __init__(self, config: WanTransformerConfig, added_dim: int | None = None):
        super().__init__()
        dim = config.hidden_size
        self.heads = config.num_attention_heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.to_out = [nn.Linear(dim, dim)]
        self.norm_q, self.norm_k = (nn.RMSNorm(dim, eps=config.eps) for _ in range(2))
        if added_dim is not None:
            self.add_k_proj, self.add_v_proj = (nn.Linear(added_dim, dim) for _ in range(2))
            self.norm_added_k = nn.RMSNorm(dim, eps=config.eps)

    def among(self, x: mx.array, rope: Rotary) -> mx.array:
        """The tokens attend to each other, turned by where they stand."""
        q, k = (
            turned(self._split(h), rope.cos, rope.sin)
            for h in (self.norm_q(self.to_q(x)), self.norm_k(self.to_k(x)))
        )
        return self._joined(
            attend(*(h.transpose(0, 2, 1, 3) for h in (q, k, self._split(self.to_v(x)))))
        )

    def to(self, x: mx.array, text: mx.array, image: mx.array | None) -> mx.array:
        """The tokens attend to text [B, L, C] and, apart from it, to image [B, L', C]."""
        q = self._heads(self.norm_q(self.to_q(x)))
        out = attend(q, self._heads(self.norm_k(self.to_k(text))), self._heads(self.to_v(text)))
        if image is not None:
            out = out + attend(
                q,
                self._heads(self.norm_added_k(self.add_k_proj(image))),
                self._heads(self.add_v_proj(image)),
            )
        return self._joined(out)

    def _split(self, x: mx.array) -> mx.array:
        return x.reshape(*x.shape[:2], self.heads, -1)

    def _heads(self, x: mx.array) -> mx.array:
        return self._split(x).transpose(0, 2, 1, 3)

    def _joined(self, x: mx.array) -> mx.array:
        b, _, n, _ = x.shape
        return self.to_out[0](x.transpose(0, 2, 1, 3).reshape(b, n, -1))


class WanTransformerBlock(nn.Module):
    """Self-attention, cross-attention and feed-forward; the first and the last are shifted, scaled
    and gated by the timestep.
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
        """x [B, N, C]; ada float32 [B, 6, C]: what the timestep does to this and all other blocks."""
        shift1, scale1, gate1, shift3, scale3, gate3 = mx.split(
            self.scale_shift_table + ada, 6, axis=1
        )
        x = gated(x, self.attn1.among(normed(x, shift1, scale1, self.eps), rope), gate1)
        x = x + self.attn2.to(self.norm2(x.astype(mx.float32)).astype(x.dtype), text, image)
        return gated(x, self.ffn(normed(x, shift3, scale3, self.eps)), gate3)


class WanImageEmbedding(nn.Module):
    """What CLIP sees in the pictures, [B, L, image_dim] -> [B, L, C]."""

    def __init__(self, config: WanTransformerConfig):
        super().__init__()
        dim, out = config.image_dim, config.hidden_size
        self.norm1 = nn.LayerNorm(dim)
        self.ff = FeedForwardNet(dim, dim, out, nn.gelu)
        self.norm2 = nn.LayerNorm(out)
        if config.pos_embed_seq_len is not None:
            self.pos_embed = mx.zeros((1, config.pos_embed_seq_len, dim))

    def __call__(self, image: mx.array) -> mx.array:
        dtype = self.ff.net[0].proj.weight.dtype
        image = image.astype(mx.float32)
        if "pos_embed" in self:
            image = image + self.pos_embed
        return self.norm2(self.ff(self.norm1(image).astype(dtype)).astype(mx.float32)).astype(dtype)


class WanTimeTextImageEmbedding(nn.Module):
    """What the blocks are told of the timestep, the text and the pictures."""

    def __init__(self, config: WanTransformerConfig):
        super().__init__()
        dim = config.hidden_size
        self.time_embedder = TimestepEmbedding(dim, config.freq_dim)
        self.time_proj = nn.Linear(dim, 6 * dim)
        self.text_embedder = TextProjection(config.text_dim, dim)
        if config.image_dim is not None:
            self.image_embedder = WanImageEmbedding(config)

    def __call__(
        self, timestep: mx.array, text: mx.array, image: mx.array | None
    ) -> tuple[mx.array, mx.array, mx.array, mx.array | None]:
        """timestep [B] as its embedding [B, C] and the blocks' modulation [B, 6, C], both float32;
        text and image as the blocks read them, [B, L, C] and [B, L', C]."""
        time = self.time_embedder(timestep).astype(mx.float32)
        ada = self.time_proj(nn.silu(time)).reshape(timestep.shape[0], 6, -1)
        text = self.text_embedder(text.astype(self.text_embedder.linear_1.weight.dtype))
        return time, ada, text, None if image is None else self.image_embedder(image)


class WanTransformer3DModel(nn.Module):
    """The velocity of noisy latents along the straight road from clip to noise, for every model of
    the Wan 2.1 release.
    """

    original_name = staticmethod(original_name)

    def __init__(self, config: WanTransformerConfig):
        super().__init__()
        self.config, dim, patch = config, config.hidden_size, math.prod(config.patch_size)
        self.patch_embedding = nn.Linear(patch * config.in_channels, dim)
        self.condition_embedder = WanTimeTextImageEmbedding(config)
        self.blocks = [WanTransformerBlock(config) for _ in range(config.num_layers)]
        self.scale_shift_table = mx.zeros((1, 2, dim))
        self.proj_out = nn.Linear(dim, patch * (config.out_channels or config.in_channels))

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The patch convolution as the matrix that it is, and without the norm of added queries,
        which early conversions carry and nothing reads."""
        kept = {name: weight for name, weight in weights.items() if ".norm_added_q." not in name}
        return {
            name: patch_matrix(weight) if name == "patch_embedding.weight" else weight
            for name, weight in kept.items()
        }

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """The large matrices of the blocks; what sets the scale of things (patches, time, text,
        picture, output) stays precise.
        """
        return name.startswith("blocks.") and isinstance(module, nn.Linear)

    @staticmethod
    def stays_float32(name: str) -> bool:
        """Whether a tensor stays in float32 when the others are in half precision, as in Diffusers."""
        return not {"time_embedder", "scale_shift_table", "norm1", "norm2"}.isdisjoint(
            name.split(".")
        )

    def set_dtype(
        self,
        dtype: mx.Dtype,
        predicate: Callable[[mx.Dtype], bool] | None = lambda x: mx.issubdtype(x, mx.floating),
    ) -> None:
        """As every module's, but for the tensors that stay in float32."""
        kept = [
            (name, weight.astype(mx.float32))
            for name, weight in tree_flatten(self.parameters())
            if self.stays_float32(name)
        ]
        super().set_dtype(dtype, predicate)
        self.update(tree_unflatten(kept))

    def rope(self, t: int, h: int, w: int) -> Rotary:
        """Rotary tables of a token grid: a third of each head turns with the height, a third with
        the width, the rest with time.
        """
        head = self.config.attention_head_dim
        side = 2 * (head // 6)
        return rope_3d(t, h, w, (head - 2 * side, side, side), ROPE_THETA, "interleaved")

    def __call__(
        self, x: mx.array, timestep: mx.array, text: mx.array, image: mx.array | None = None
    ) -> mx.array:
        """
        x: noisy latents [B, F, H, W, C_in], with mask and condition in the last channels where the
        model has them; F, H and W are multiples of the patch size. timestep [B], 0 to 1000. text
        [B, L, text_dim]: the encoder's states, all of which are read (512, zeros where a prompt has
        ended, are what the model was trained with). image [B, L', image_dim]: CLIP's states of the
        picture, or of the first and then the last one. Returns the velocity (noise - clip), float32
        [B, F, H, W, C_out]. Raises ValueError where the config has an `image_dim` and there is no
        image, or the other way round.
        """
        config = self.config
        if (image is None) != (config.image_dim is None):
            raise ValueError(
                "an image for a model that sees none"
                if config.image_dim is None
                else "no image for a model that needs one"
            )
        x = self.patch_embedding(
            fold(x.astype(self.patch_embedding.weight.dtype), *config.patch_size[:2])
        )
        b, t, h, w, c = x.shape
        n, rope = t * h * w, self.rope(t, h, w)
        x = x.reshape(b, n, c)
        time, ada, text, image = self.condition_embedder(timestep, text, image)
        block_ops = 2 * b * n * c * (8 * c + 2 * config.ffn_dim + 2 * n)
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, text, image, ada, rope)
            if number % max(1, int(EVAL_OPS / block_ops)) == 0:
                mx.eval(x)
        shift, scale = mx.split(self.scale_shift_table + time[:, None], 2, axis=1)
        x = self.proj_out(normed(x.astype(mx.float32), shift, scale, config.eps))
        return unfold(x.reshape(b, t, h, w, -1), *config.patch_size[:2])
