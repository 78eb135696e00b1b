"""CogVideoX's transformer: joint attention of text and video, with norms of their own for each.

Names and maths are those of Diffusers' CogVideoXTransformer3DModel (arXiv:2408.06072).
"""

from __future__ import annotations

import math

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import SettingError
from mlxvid.kernels import Rotary, added_and_modulated, gated, modulated, normed_rotated
from mlxvid.layers import bounds, stack
from mlxvid.layers.attention import FeedForwardNet, attend
from mlxvid.layers.embeddings import TimestepEmbedding
from mlxvid.layers.patches import fold, unfold
from mlxvid.layers.processor import silu
from mlxvid.layers.sharded import INPUTS, OUTPUTS, WHOLE, Shares

from .config import CogVideoXConfig
from .original import PICTURE_LAYERS, original_name
from .positions import rotary, sines_3d

# Diffusers' epsilon for the norms of queries and keys, whatever the config's.
HEAD_EPS = 1e-6
# What the 1.5 models that start from a picture were trained with.
OFS = 2.0


@mx.compile
def folded_shift(shift: mx.array, scale: mx.array, bias: mx.array) -> mx.array:
    """The shift of a modulation after that of a norm, in float32."""
    return bias * (1 + scale.astype(mx.float32)) + shift


@mx.compile
def folded_scale(scale: mx.array, weight: mx.array) -> mx.array:
    """The factor of a modulation times that of a norm, in float32."""
    return weight * (1 + scale.astype(mx.float32))


class PatchEmbed(nn.Module):
    """Text states and latents as tokens of one width: [B, L, D] -> [B, L, C] and
    [B, F, H, W, c] -> [B, t, h, w, C].

    With learned positions it has their table [1, places, C], the text's first.
    """

    def __init__(self, config: CogVideoXConfig):
        super().__init__()
        self.patch = config.patch
        dim = config.hidden_size
        # As in Diffusers, the bias is left out only of the patches of single frames.
        bias = config.patch_bias or config.patch_size_t is not None
        self.proj = nn.Linear(config.in_channels * math.prod(self.patch), dim, bias=bias)
        self.text_proj = nn.Linear(config.text_embed_dim, dim)
        if config.use_learned_positional_embeddings:
            height, width = config.base_grid
            places = config.max_text_seq_length + config.base_frames * height * width
            self.pos_embedding = mx.zeros((1, places, dim))

    def __call__(self, text: mx.array, x: mx.array) -> tuple[mx.array, mx.array]:
        folded = fold(x, *self.patch[:2])
        # The checkpoints have a patch's channels before its positions.
        by_channel = folded.reshape(*folded.shape[:-1], -1, x.shape[-1]).swapaxes(-1, -2)
        return self.text_proj(text), self.proj(by_channel.reshape(folded.shape))


class LayerNormZero(nn.Module):
    """What the timestep makes of a layer norm's weight and bias, and its gate, text otherwise than
    video.
    """

    def __init__(self, config: CogVideoXConfig):
        super().__init__()
        self.linear = nn.Linear(config.time_embed_dim, 6 * config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)

    def __call__(self, time: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        """Of the embedded time after SiLU, [B, D]: the norm's shift and scale, and the gate of what
        is made of the normed tokens, float32 [B, 2, C]: of video, then of text.
        """
        parts = self.linear(time).reshape(len(time), 2, 3, -1)
        shift, scale, gate = (parts[:, :, i] for i in range(3))
        shift = folded_shift(shift, scale, self.norm.bias)
        return shift, folded_scale(scale, self.norm.weight), gate.astype(mx.float32)


class Attention(nn.Module):
    """Attention over all tokens [B, N, C] of text and video, normed per head."""

    def __init__(self, config: CogVideoXConfig):
        super().__init__()
        dim = config.hidden_size
        bias = config.attention_bias
        self.head_dim = config.attention_head_dim
        self.to_q = nn.Linear(dim, dim, bias=bias)
        self.to_k = nn.Linear(dim, dim, bias=bias)
        self.to_v = nn.Linear(dim, dim, bias=bias)
        self.to_out = [nn.Linear(dim, dim)]
        self.norm_q = nn.LayerNorm(self.head_dim, eps=HEAD_EPS)
        self.norm_k = nn.LayerNorm(self.head_dim, eps=HEAD_EPS)

    def __call__(self, x: mx.array, rope: Rotary | None) -> mx.array:
        q = self._normed(self.norm_q, self.to_q, x, rope)
        k = self._normed(self.norm_k, self.to_k, x, rope)
        v = self._split(bounds.linear(self.to_v, x))
        heads = [part.transpose(0, 2, 1, 3) for part in (q, k, v)]
        out = attend(*heads).transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
        return bounds.linear(self.to_out[0], out)

    def _normed(
        self, norm: nn.LayerNorm, layer: nn.Module, x: mx.array, rope: Rotary | None
    ) -> mx.array:
        """layer(x), normed and, with a rope, rotated, in heads: [B, N, C] -> [B, N, H, D]."""
        x = self._split(bounds.linear(layer, x))
        if rope is None:
            return norm(x)
        return normed_rotated(x, norm.weight, rope, norm.eps, norm.bias)

    def _split(self, x: mx.array) -> mx.array:
        """[B, N, C] -> [B, N, H, D]."""
        return x.reshape(*x.shape[:2], -1, self.head_dim)


class Block(nn.Module):
    """Attention and feed-forward over the tokens [B, N, C] of text and video."""

    def __init__(self, config: CogVideoXConfig):
        super().__init__()
        dim = config.hidden_size
        self.eps = config.norm_eps
        self.norm1 = LayerNormZero(config)
        self.attn1 = Attention(config)
        self.norm2 = LayerNormZero(config)
        self.ff = FeedForwardNet(dim, 4 * dim, dim)

    def __call__(self, x: mx.array, text: int, time: mx.array, rope: Rotary | None) -> mx.array:
        """text: how many of the first tokens are the text's. time [B, D]: the timestep's embedding
        after SiLU.
        """
        shift, scale, gate = self.norm1(time)
        h = modulated(x, shift, scale, self.eps, offset=0, front=text)
        h = self.attn1(h, rope)
        shift, scale, ff_gate = self.norm2(time)
        x, h = added_and_modulated(x, h, gate, shift, scale, self.eps, offset=0, front=text)
        return gated(x, self.ff(h), ff_gate, text)


class AdaLayerNorm(nn.Module):
    """A layer norm that is shifted and scaled by the timestep's embedding after SiLU."""

    def __init__(self, config: CogVideoXConfig):
        super().__init__()
        self.linear = nn.Linear(config.time_embed_dim, 2 * config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)

    def __call__(self, x: mx.array, time: mx.array) -> mx.array:
        shift, scale = mx.split(self.linear(time)[:, None], 2, axis=-1)
        shift = folded_shift(shift, scale, self.norm.bias)
        scale = folded_scale(scale, self.norm.weight)
        return modulated(x, shift, scale, self.norm.eps, offset=0)


class CogVideoXTransformer3DModel(nn.Module):
    """The velocity ("v") of noisy latents, for every model of CogVideoX 1.0 and 1.5.

    Diffusers' class of the same name.
    """

    original_name = staticmethod(original_name)
    PICTURE_LAYERS = PICTURE_LAYERS

    def __init__(self, config: CogVideoXConfig):
        super().__init__()
        self.config = config
        dim = config.hidden_size
        self.patch_embed = PatchEmbed(config)
        self.time_embedding = TimestepEmbedding(config.time_embed_dim, dim)
        if config.ofs_embed_dim:
            self.ofs_embedding = TimestepEmbedding(config.ofs_embed_dim, config.ofs_embed_dim)
        self.transformer_blocks = [Block(config) for _ in range(config.num_layers)]
        self.norm_final = nn.LayerNorm(dim, eps=config.norm_eps)
        self.norm_out = AdaLayerNorm(config)
        self.proj_out = nn.Linear(dim, math.prod(config.patch) * config.outputs)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The convolution of 1.0's patches as a matrix, as 1.5 has it."""
        weights = dict(weights)
        name = "patch_embed.proj.weight"
        if name in weights and weights[name].ndim == 4:
            weights[name] = weights[name].reshape(weights[name].shape[0], -1)
        return weights

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the blocks' attention and feed-forward.

        Patches, text, timestep, modulation and output set the scale of everything and stay precise.
        """
        in_block = ".attn1." in name or ".ff." in name
        return in_block and isinstance(module, nn.Linear)

    @staticmethod
    def shares() -> Shares:
        """What of the blocks several machines share; of the modulation each computes a part."""
        return {
            "transformer_blocks.*.norm?.linear": WHOLE,
            "transformer_blocks.*.attn1.to_[qkv]": OUTPUTS,
            "transformer_blocks.*.attn1.to_out.0": INPUTS,
            "transformer_blocks.*.ff.net.0.proj": OUTPUTS,
            "transformer_blocks.*.ff.net.2": INPUTS,
        }

    def __call__(
        self,
        x: mx.array,
        timestep: mx.array,
        text: mx.array,
        lowered: tuple[int, int] | None = None,
    ) -> mx.array:
        """The predicted velocity, [B, F, H, W, out_channels].

        x: noisy latents [B, F, H, W, C], with the picture's latents in the last channels where the
        model has them; F, H and W are multiples of the patch. timestep [B], 0 to 1000. text
        [B, L, D]: the encoder's states, all of which are read (padding too: the model was trained
        so). lowered: as in :meth:`rope`.

        Raises :class:`SettingError` for a clip that a model with learned positions has none for.
        """
        config = self.config
        dtype = self.proj_out.weight.dtype
        text, x = self.patch_embed(text.astype(dtype), x.astype(dtype))
        b, t, h, w, c = x.shape
        length = text.shape[1]
        x = mx.concatenate(self._placed(text, x), axis=1)
        tokens = x.shape[1]
        time = self.time_embedding(timestep)
        if "ofs_embedding" in self:
            time = time + self.ofs_embedding(mx.array([OFS]))
        activated = silu(time)
        rope = self.rope((t, h, w), length, lowered)
        block_ops = bounds.block_ops(b * tokens, c, 4 * c, tokens)
        pace = bounds.Pace(len(self.transformer_blocks), block_ops)

        def blocks(x: mx.array) -> mx.array:
            for block in stack.kept(self.transformer_blocks):
                x = pace.passed(block(x, length, activated, rope))
            return x

        x = stack.through(x, lambda: time, blocks)
        x = self.proj_out(self.norm_out(self.norm_final(x[:, length:]), activated))
        by_channel = x.reshape(b, t, h, w, config.outputs, -1).swapaxes(-1, -2)
        return unfold(by_channel.reshape(b, t, h, w, -1), *config.patch[:2])

    def rope(
        self, grid: tuple[int, int, int], text: int, lowered: tuple[int, int] | None = None
    ) -> Rotary | None:
        """Rotary tables of `text` tokens and a grid of tokens; None for a model without.

        lowered: a frequency in time, as in :func:`mlxvid.layers.rope.rope_1d`.
        """
        config = self.config
        if not config.use_rotary_positional_embeddings:
            return None
        # The positions of 1.5 are counted, those of 1.0 are fitted into the training's frame.
        base = config.base_grid if config.patch_size_t is None else None
        return rotary(grid, config.attention_head_dim, base, text, lowered)

    def _placed(self, text: mx.array, x: mx.array) -> list[mx.array]:
        """Tokens [B, L, C] and [B, t*h*w, C], with the positions added that are not rotary."""
        config = self.config
        b, *grid, c = x.shape
        x = x.reshape(b, -1, c)
        if "pos_embedding" in self.patch_embed:
            self._check_places(grid)
            table = self.patch_embed.pos_embedding
            start = config.max_text_seq_length
            # A shorter clip takes the first frames' places, as in the original release; Diffusers
            # takes sines for it, which the model hasn't seen.
            table_of_text = table[:, : text.shape[1]]
            return [text + table_of_text, x + table[:, start : start + x.shape[1]]]
        if config.use_rotary_positional_embeddings:
            return [text, x]
        scales = (config.temporal_interpolation_scale, config.spatial_interpolation_scale)
        places = sines_3d((grid[0], grid[1], grid[2]), c, *scales)
        return [text, x + places.astype(x.dtype)]

    def _check_places(self, grid: list[int]) -> None:
        """Raise :class:`SettingError` for a grid of tokens that has no learned positions."""
        frames = self.config.base_frames
        height, width = self.config.base_grid
        t, h, w = grid
        if (h, w) != (height, width) or t > frames:
            raise SettingError(
                f"This model has positions for {frames} latent frames of {height}x{width} tokens, "
                f"not for {t} of {h}x{w}; leave `width`, `height` and `frames` as they are by "
                "default."
            )
