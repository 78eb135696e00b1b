"""Sizes of T5's and UMT5's encoders, read from their config.json."""

from __future__ import annotations

from dataclasses import dataclass

from .streamed import Streamed


@dataclass(frozen=True)
class T5Config:
    """The config.json of a T5, with transformers' keys and defaults.

    Raises ValueError for another feed-forward than the gated GELU of v1.1 and UMT5.
    """

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 6
    num_heads: int = 8
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6
    feed_forward_proj: str = "relu"

    def __post_init__(self):
        if self.feed_forward_proj != "gated-gelu":
            raise ValueError(f"feed_forward_proj is {self.feed_forward_proj!r}, not 'gated-gelu'")

    def streamed(self, tokens: int, rows: int = 2) -> Streamed:
        """What is in memory at a time for `rows` prompts of `tokens` each.

        A block of three, and random weights of 256 to 1024 values a token, held 12 widths and one
        width of all heads a token, and at its attention five copies of the scores on MLX's CPU
        backend.
        """
        inner = self.num_heads * self.d_kv
        matrix = self.d_model * max(self.d_ff, inner)
        block = self.d_model * (4 * inner + 3 * self.d_ff)
        weights = self.vocab_size * self.d_model + self.num_layers * block
        return Streamed(
            share=block / weights,
            matrix=matrix,
            held=rows * tokens * (12 * self.d_model + inner),
            scores=rows * self.num_heads * tokens**2,
        )


@dataclass(frozen=True)
class UMT5Config(T5Config):
    """The same keys with UMT5's defaults."""

    vocab_size: int = 250112
    d_ff: int = 1024
    num_layers: int = 8
    num_heads: int = 6
    feed_forward_proj: str = "gated-gelu"


# The sizes of the largest releases.
T5_XXL = T5Config(
    d_model=4096, d_ff=10240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu"
)
UMT5_XXL = UMT5Config(vocab_size=256384, d_model=4096, d_ff=10240, num_layers=24, num_heads=64)
