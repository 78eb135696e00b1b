"""Tiny HunyuanVideo models with random weights, made by Diffusers and transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoTransformer3DModel,
)

from tests.models.wan.tiny import randomised

from .encoders import CLIP, LLAMA, picture_encoders, text_encoders

CHANNELS = 4
SHIFT = 7.0
KINDS: dict[str, dict[str, Any]] = {
    "text": {},
    "token replace": dict(image_condition_type="token_replace"),
    "latent concat": dict(
        image_condition_type="latent_concat",
        in_channels=2 * CHANNELS + 1,
        guidance_embeds=False,
    ),
}


def transformer(kind: str) -> HunyuanVideoTransformer3DModel:
    config = dict(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_attention_heads=2,
        attention_head_dim=32,  # groups of 64 can be quantized
        num_layers=2,
        num_single_layers=2,
        num_refiner_layers=2,
        text_embed_dim=LLAMA["hidden_size"],
        pooled_projection_dim=CLIP["hidden_size"],
        rope_axes_dim=(8, 12, 12),
    )
    return randomised(HunyuanVideoTransformer3DModel(**{**config, **KINDS[kind]}), 1)


def vae() -> AutoencoderKLHunyuanVideo:
    network = AutoencoderKLHunyuanVideo(
        latent_channels=CHANNELS,
        block_out_channels=(8, 12, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
    )
    return randomised(network, 2)


def write_model(folder: Path, kind: str) -> Any:
    """Write a whole tiny model to `folder`; returns the reference's own pipeline."""
    encoders = text_encoders if kind == "text" else picture_encoders
    pipeline, _ = encoders(folder)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=SHIFT)
    pipeline.register_modules(transformer=transformer(kind), vae=vae(), scheduler=scheduler)
    pipeline.save_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
