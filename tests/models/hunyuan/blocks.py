"""A transformer of HunyuanVideo of a few blocks, as a function of latents, for
:mod:`tests.models.held`.

It replaces the first frame's tokens, which holds a little more than without.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from mlxvid.model.card import Card
from mlxvid.models.hunyuan.config import TOKEN_REPLACE, HunyuanVideoTransformerConfig
from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel
from scripts.benchmarks.traced import lazy
from tests.models.held import TEXT, Case

POOLED = 48


def call(case: Case, card: Card, dtype: mx.Dtype) -> Callable[[mx.array], mx.array]:
    config = HunyuanVideoTransformerConfig(
        num_attention_heads=case.heads,
        attention_head_dim=card.head_dim,
        num_layers=2,
        num_single_layers=2,
        num_refiner_layers=1,
        text_embed_dim=TEXT[1],
        pooled_projection_dim=POOLED,
        image_condition_type=TOKEN_REPLACE,
    )
    network = lazy(HunyuanVideoTransformer3DModel(config), dtype)
    text = mx.zeros((case.rows, *TEXT))
    pooled = mx.zeros((case.rows, POOLED))
    times = mx.zeros((case.rows,))
    return lambda x: network(x, times, text, pooled, times)
