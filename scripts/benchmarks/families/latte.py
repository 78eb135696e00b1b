"""Latte beside Diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import Call, Case, drawn

TRANSFORMER: dict[str, Any] = dict(
    num_attention_heads=8,
    attention_head_dim=72,
    in_channels=4,
    out_channels=8,
    num_layers=6,
    sample_size=32,
    patch_size=2,
    cross_attention_dim=576,
    caption_channels=512,
    video_length=16,
    attention_bias=True,
    activation_fn="gelu-approximate",
    num_embeds_ada_norm=1000,
    norm_type="ada_norm_single",
    norm_elementwise_affine=False,
)
LATENTS = (1, 16, 24, 32, 4)  # [B, F, H, W, C]
WORDS = 40


def our_step() -> Call:
    import mlx.core as mx

    from mlxvid.model.folder import from_json
    from mlxvid.models.latte.config import LatteConfig
    from mlxvid.models.latte.transformer import LatteTransformer3DModel

    config = from_json(LatteConfig, TRANSFORMER, Path(__file__))
    network = drawn(LatteTransformer3DModel(config))
    x = mx.random.normal(LATENTS)
    text = mx.random.normal((1, WORDS, TRANSFORMER["caption_channels"]))
    return lambda: mx.eval(network(x, mx.array([500]), text))


def their_step() -> Call:
    import torch
    from diffusers import LatteTransformer3DModel

    network: Any = LatteTransformer3DModel(**TRANSFORMER)
    network.eval()
    x = torch.randn(LATENTS).movedim(-1, 1).contiguous()
    text = torch.randn(1, WORDS, TRANSFORMER["caption_channels"])
    return lambda: network(x, torch.tensor([500]), text)


CASES = {"step": Case(our_step, their_step)}
