"""A transformer of CogVideoX of a few blocks, as a function of latents, for
:mod:`tests.models.held`.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from mlxvid.model.card import Card
from mlxvid.models.cogvideox.config import CogVideoXConfig
from mlxvid.models.cogvideox.transformer import CogVideoXTransformer3DModel
from scripts.benchmarks.traced import lazy
from tests.models.held import TEXT, Case


def call(case: Case, card: Card, dtype: mx.Dtype) -> Callable[[mx.array], mx.array]:
    patch_t = card.geometry.patch[0]
    config = CogVideoXConfig(
        num_attention_heads=case.heads,
        num_layers=2,
        text_embed_dim=TEXT[1],
        use_rotary_positional_embeddings=card.name != "cogvideox-2b",
        patch_size_t=patch_t if patch_t > 1 else None,
    )
    network = lazy(CogVideoXTransformer3DModel(config), dtype)
    text = mx.zeros((case.rows, *TEXT))
    times = mx.zeros((case.rows,))
    return lambda x: network(x, times, text)
