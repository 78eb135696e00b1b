"""The transformer in float16, which takes bfloat16's place on an M1 or M2."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_map_with_path

from mlxvid.models.wan.card import FAMILY
from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.models.wan.transformer import WanTransformer3DModel

CONFIG = WanTransformerConfig(
    num_attention_heads=2,
    attention_head_dim=64,
    in_channels=4,
    out_channels=4,
    text_dim=32,
    freq_dim=32,
    ffn_dim=256,
    num_layers=3,
)


def network(large: float) -> nn.Module:
    """Random weights, after whose first layer values are about `large`."""
    key = mx.random.key(3)

    def drawn(name: str, old: mx.array) -> mx.array:
        nonlocal key
        key, mine = mx.random.split(key)
        fan = old.shape[-1] if old.ndim > 1 else 1
        weight = mx.random.normal(old.shape, key=mine) * (fan**-0.5 if old.ndim > 1 else 0.1)
        is_norm = "norm" in name and name.endswith("weight")
        return weight * (large if name.startswith("patch_embedding") else 1) + is_norm

    made = WanTransformer3DModel(CONFIG)
    made.update(tree_map_with_path(drawn, made.parameters()))
    return made


@pytest.mark.parametrize("large", [1.0, 1e4])
def test_nothing_overflows(large):
    """The greatest of some thousand values is four times their deviation: near the end of float16's
    range, which squares of them, and so norms in it, would be far beyond.
    """
    assert FAMILY.parts["transformer"].float16
    x = mx.random.normal((1, 3, 8, 12, 4), key=mx.random.key(1))
    text = mx.random.normal((1, 9, 32), key=mx.random.key(2))
    seen = {}
    for dtype in (mx.float32, mx.float16):
        made = network(large)
        made.set_dtype(dtype)
        seen[dtype] = np.array(made(x, mx.array([700.0]), text).astype(mx.float32))
    exact = seen[mx.float32]
    assert np.isfinite(seen[mx.float16]).all()
    assert np.abs(seen[mx.float16] - exact).max() < 0.02 * np.abs(exact).max()
