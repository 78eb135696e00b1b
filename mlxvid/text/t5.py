"""The text encoders T5 v1.1 and UMT5."""

from __future__ import annotations

import math

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from mlxvid.layers.bounds import evaluate
from mlxvid.layers.processor import gelu_approx
from mlxvid.layers.streaming import in_memory

from .t5_config import T5Config


class SelfAttention(nn.Module):
    """Attention without a scale, which is in the weights.

    With `has_bias` it has a table of biases by the relative position of two tokens.
    """

    def __init__(self, config: T5Config, has_bias: bool):
        super().__init__()
        inner = config.num_heads * config.d_kv
        self.d_kv = config.d_kv
        self.q = nn.Linear(config.d_model, inner, bias=False)
        self.k = nn.Linear(config.d_model, inner, bias=False)
        self.v = nn.Linear(config.d_model, inner, bias=False)
        self.o = nn.Linear(inner, config.d_model, bias=False)
        if has_bias:
            self.relative_attention_bias = nn.Embedding(
                config.relative_attention_num_buckets, config.num_heads
            )

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        b, n, _ = x.shape
        q = self._heads(self.q(x))
        k = self._heads(self.k(x))
        v = self._heads(self.v(x))
        x = mx.fast.scaled_dot_product_attention(q, k, v, scale=1.0, mask=mask)
        return self.o(x.transpose(0, 2, 1, 3).reshape(b, n, -1))

    def _heads(self, x: mx.array) -> mx.array:
        b, n, _ = x.shape
        return x.reshape(b, n, -1, self.d_kv).transpose(0, 2, 1, 3)


class DenseReluDense(nn.Module):
    """The gated feed-forward (arXiv:2002.05202), under the name it had before the gate."""

    def __init__(self, config: T5Config):
        super().__init__()
        self.wi_0 = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.wi_1 = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.wo = nn.Linear(config.d_ff, config.d_model, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        # The values overflow float16 from here to the residual sum: the last product is float32
        # whatever the weights' type.
        gate = gelu_approx(self.wi_0(x)).astype(mx.float32)
        return self.wo(gate * self.wi_1(x))


class AttentionLayer(nn.Module):
    def __init__(self, config: T5Config, has_bias: bool):
        super().__init__()
        self.SelfAttention = SelfAttention(config, has_bias)
        self.layer_norm = nn.RMSNorm(config.d_model, config.layer_norm_epsilon)

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        return x + self.SelfAttention(self.layer_norm(x).astype(mask.dtype), mask)


class FeedForwardLayer(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.DenseReluDense = DenseReluDense(config)
        self.layer_norm = nn.RMSNorm(config.d_model, config.layer_norm_epsilon)

    def __call__(self, x: mx.array, dtype: mx.Dtype) -> mx.array:
        return x + self.DenseReluDense(self.layer_norm(x).astype(dtype))


class Block(nn.Module):
    """Attention, then feed-forward, on float32 states [B, L, D].

    mask: additive, [B, H, L, L], in the type to compute in.
    """

    def __init__(self, config: T5Config, has_bias: bool):
        super().__init__()
        self.layer = [AttentionLayer(config, has_bias), FeedForwardLayer(config)]

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        attention, feed_forward = self.layer
        return feed_forward(attention(x, mask), mask.dtype)


class Stack(nn.Module):
    """The blocks, and the norm after them.

    The first `biased_blocks` have a table of biases each; the others share the last one.
    """

    def __init__(self, config: T5Config, biased_blocks: int):
        super().__init__()
        self.config = config
        self.block = [Block(config, i < biased_blocks) for i in range(config.num_layers)]
        self.final_layer_norm = nn.RMSNorm(config.d_model, config.layer_norm_epsilon)

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        buckets = distance_buckets(
            x.shape[1],
            self.config.relative_attention_num_buckets,
            self.config.relative_attention_max_distance,
        )
        hidden = mx.where(mask[:, None, None], 0.0, -math.inf)
        for number, block in enumerate(self.block, 1):
            with in_memory(block):
                attention = block.layer[0].SelfAttention
                if "relative_attention_bias" in attention:
                    bias = attention.relative_attention_bias(buckets).transpose(2, 0, 1)
                    scores = (bias + hidden).astype(block.layer[0].layer_norm.weight.dtype)
                x = block(x, scores)
                # With billions of weights, one block is work enough for one evaluation.
                evaluate(x, number / len(self.block))
        return self.final_layer_norm(x)


class T5EncoderModel(nn.Module):
    """Token ids int32 [B, L] and their mask bool [B, L] -> states float32 [B, L, D].

    The encoder of T5 v1.1 (arXiv:1910.10683, and its release notes), as transformers'
    T5EncoderModel. The residual sum is float32, as T5 overflows float16. The mask is true where
    there is a token, and each prompt has at least one; elsewhere the states mean nothing.
    """

    biases_in_every_block = False
    tables = ("shared",)
    """The embeddings of which a call uses few rows: see :mod:`mlxvid.layers.streaming`."""

    def __init__(self, config: T5Config):
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Stack(config, config.num_layers if self.biases_in_every_block else 1)

    def pieces(self) -> dict[str, nn.Module]:
        """The blocks, by their names, whose weights are used one after another."""
        return {f"encoder.block.{number}": block for number, block in enumerate(self.encoder.block)}

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """One name for the embedding, and no decoder, which the full releases have.

        Checkpoints have the embedding under either of two names, or both.
        """
        kept = {}
        for name, weight in weights.items():
            if not name.startswith(("decoder.", "lm_head.")):
                kept[name] = weight
        twin = kept.pop("encoder.embed_tokens.weight", None)
        return kept if twin is None else {"shared.weight": twin, **kept}

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: attention and feed-forward, not the embedding and biases."""
        return isinstance(module, nn.Linear)

    def __call__(self, ids: mx.array, mask: mx.array) -> mx.array:
        return self.encoder(self.shared(ids).astype(mx.float32), mask)


class UMT5EncoderModel(T5EncoderModel):
    """The encoder of UMT5 (arXiv:2304.09151), with a table of biases in every block.

    Transformers' UMT5EncoderModel.
    """

    biases_in_every_block = True


def distance_buckets(length: int, buckets: int, farthest: int) -> mx.array:
    """The row of the table of biases for each query and key, int32 [length, length].

    Half of the rows are for keys after the query. In each half, half are for one distance each,
    the others for ranges up to `farthest` that grow logarithmically; the last one is for all
    beyond.
    """
    half = buckets // 2
    exact = buckets // 4
    distance = np.arange(length)
    # In float32 as in the reference: at powers of two the rounding decides.
    ratio = np.maximum(distance, 1).astype(np.float32) / exact
    logarithm = np.log(ratio) / math.log(farthest / exact)
    far = np.minimum(exact + (logarithm * (half - exact)).astype(np.int32), half - 1)
    rows = np.where(distance < exact, distance, far)
    offset = distance[None, :] - distance[:, None]
    return mx.array((rows[np.abs(offset)] + half * (offset > 0)).astype(np.int32))
