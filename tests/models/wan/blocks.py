"""A transformer of Wan of a few blocks, as a function of latents, for :mod:`tests.models.held`."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from mlxvid.model.card import Card
from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.models.wan.transformer import WanTransformer3DModel
from scripts.benchmarks.traced import lazy
from tests.models.held import TEXT, Case


def call(case: Case, card: Card, dtype: mx.Dtype) -> Callable[[mx.array], mx.array]:
    config = WanTransformerConfig(
        num_attention_heads=case.heads,
        attention_head_dim=card.head_dim,
        ffn_dim=case.inner,
        num_layers=2,
        text_dim=TEXT[1],
    )
    network = lazy(WanTransformer3DModel(config), dtype)
    text = mx.zeros((case.rows, *TEXT))
    times = mx.zeros((case.rows,))
    return lambda x: network(x, times, text)
