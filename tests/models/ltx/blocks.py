"""A transformer of LTX-Video of a few blocks, as a function of latents, for
:mod:`tests.models.held`.

Its tokens have times of their own, as with pictures that are given, which takes more than one time
for all; and its rotary tables count as held, as they are from step to step.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

from mlxvid.model.card import Card
from mlxvid.models.ltx.config import LTXTransformerConfig
from mlxvid.models.ltx.rope import coords, tables
from mlxvid.models.ltx.transformer import LTXVideoTransformer3DModel, Times
from scripts.benchmarks.traced import lazy
from tests.models.held import TEXT, Case


def call(case: Case, card: Card, dtype: mx.Dtype) -> Callable[[mx.array], mx.array]:
    width = case.heads * card.head_dim
    config = LTXTransformerConfig(
        num_attention_heads=case.heads,
        attention_head_dim=card.head_dim,
        cross_attention_dim=width,
        num_layers=2,
        caption_channels=TEXT[1],
    )
    network = lazy(LTXVideoTransformer3DModel(config), dtype)
    text = mx.zeros((case.rows, *TEXT))
    given = np.ones((1, case.tokens))
    given[:, : case.height * case.width] = 0
    times = Times.of(given)
    positions = coords((case.frames, case.height, case.width), 25.0, causal=True)

    def run(latents: mx.array) -> mx.array:
        tokens = latents.reshape(case.rows, case.tokens, -1)
        return network(tokens, text, None, times, tables(config, positions))

    return run
