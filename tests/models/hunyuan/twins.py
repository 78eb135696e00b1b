"""Tiny networks of HunyuanVideo with random weights: Diffusers' and ours."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from typing import Any

import mlx.core as mx
import numpy as np
import torch
from diffusers import HunyuanVideoTransformer3DModel as Reference
from mlx.utils import tree_flatten

from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig
from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel
from mlxvid.weights.reading import fill
from tests.models.wan.tiny import randomised

TINY: dict[str, Any] = dict(
    in_channels=5,
    out_channels=5,
    num_attention_heads=2,
    attention_head_dim=10,
    num_layers=2,
    num_single_layers=2,
    num_refiner_layers=2,
    mlp_ratio=3.0,
    guidance_embeds=True,
    text_embed_dim=11,
    pooled_projection_dim=7,
    rope_axes_dim=[2, 4, 4],
)
VARIANTS: dict[str, dict[str, Any]] = {
    "text": TINY,
    "text, no guidance": {**TINY, "guidance_embeds": False},
    "token replace": {**TINY, "image_condition_type": "token_replace"},
    "latent concat": {
        **TINY,
        "in_channels": 11,
        "guidance_embeds": False,
        "image_condition_type": "latent_concat",
    },
}


def filled(ours, theirs: torch.nn.Module):
    """Our network with the weights of Diffusers'."""
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), "the twin")
    return ours


def twins(config: dict[str, Any]) -> tuple[HunyuanVideoTransformer3DModel, Reference]:
    """The same random weights in both, norms and biases included."""
    theirs = randomised(Reference(**config), 1)
    ours = HunyuanVideoTransformer3DModel(HunyuanVideoTransformerConfig(**config))
    return filled(ours, theirs), theirs


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def channels_first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def channels_last(x: torch.Tensor) -> np.ndarray:
    return np.moveaxis(x.numpy(), 1, -1)


def close(ours: mx.array, theirs: np.ndarray, tolerance: float = 1e-4) -> None:
    assert ours.dtype == mx.float32 and ours.shape == theirs.shape and theirs.std() > 0.01
    assert np.abs(np.array(ours) - theirs).max() < tolerance


def same_tensors(ours, theirs: torch.nn.Module) -> tuple[int, int]:
    """Compare names and shapes with a reference on the meta device; its values and tensors."""
    state = theirs.state_dict()
    expected = ours.sanitize({name: mx.zeros(tuple(value.shape)) for name, value in state.items()})
    shapes = {name: weight.shape for name, weight in tree_flatten(ours.parameters())}
    assert shapes == {name: weight.shape for name, weight in expected.items()}
    return sum(value.numel() for value in state.values()), len(state)
