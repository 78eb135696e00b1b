"""Sizes of T5's and UMT5's encoders, read from their config.json."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True)
class UMT5Config(T5Config):
    """The same keys with UMT5's defaults."""

    vocab_size: int = 250112
    d_ff: int = 1024
    num_layers: int = 8
    num_heads: int = 6
    feed_forward_proj: str = "gated-gelu"
