"""A tiny transformer of LTX-Video with random weights: Diffusers' and ours."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
from diffusers import LTXVideoTransformer3DModel as Reference

from mlxvid.models.ltx.config import LTXTransformerConfig
from mlxvid.models.ltx.transformer import LTXVideoTransformer3DModel
from mlxvid.weights.reading import fill
from tests.models.wan.tiny import randomised


def config(heads: int = 2, head_dim: int = 14, layers: int = 2, **others: int) -> dict[str, int]:
    """A config: 28 channels by default, of which 4 have no position."""
    return {
        "in_channels": 5,
        "out_channels": 5,
        "num_attention_heads": heads,
        "attention_head_dim": head_dim,
        "cross_attention_dim": heads * head_dim,
        "num_layers": layers,
        "caption_channels": 11,
        **others,
    }


def twins(config: dict[str, int]) -> tuple[LTXVideoTransformer3DModel, Reference]:
    """The same random weights in both, biases and tables included."""
    theirs = randomised(Reference(**config), 1)
    ours = LTXVideoTransformer3DModel(LTXTransformerConfig(**config))
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), "the twin")
    return ours, theirs


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
