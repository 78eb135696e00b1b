"""Tiny HunyuanVideo models with random weights, made by Diffusers and transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from transformers import (
    AutoTokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    LlamaConfig,
    LlamaModel,
)

from tests.models.wan.tiny import randomised

from .tokenizers_of import write_clip_tokenizer, write_llama_tokenizer

CHANNELS = 4
# Wide enough that groups of 64 can be quantized.
TEXT = 64
POOLED = 24
SHIFT = 7.0


def transformer(**others: Any) -> HunyuanVideoTransformer3DModel:
    config = dict(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_attention_heads=2,
        attention_head_dim=32,
        num_layers=2,
        num_single_layers=2,
        num_refiner_layers=2,
        text_embed_dim=TEXT,
        pooled_projection_dim=POOLED,
        rope_axes_dim=(8, 12, 12),
    )
    return randomised(HunyuanVideoTransformer3DModel(**{**config, **others}), 1)


def vae() -> AutoencoderKLHunyuanVideo:
    network = AutoencoderKLHunyuanVideo(
        latent_channels=CHANNELS,
        block_out_channels=(8, 12, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
    )
    return randomised(network, 2)


def llama_config(vocabulary: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=TEXT,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        rope_theta=500000.0,
        max_position_embeddings=1024,
    )


def clip(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=POOLED,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return randomised(CLIPTextModel(config), 4)


def common(folder: Path) -> dict[str, Any]:
    """The parts that all models have, tokenizers in `folder`."""
    write_llama_tokenizer(folder / "tokenizer")
    write_clip_tokenizer(folder / "tokenizer_2")
    words = CLIPTokenizer.from_pretrained(folder / "tokenizer_2")
    return dict(
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=words,
        text_encoder_2=clip(words),
        vae=vae(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT),
    )


def text_to_video(folder: Path) -> HunyuanVideoPipeline:
    """The reference's own pipeline, whole. folder: for its tokenizers."""
    parts = common(folder)
    encoder = LlamaModel(llama_config(len(parts["tokenizer"])))
    pipeline = HunyuanVideoPipeline(
        **parts, text_encoder=randomised(encoder, 3), transformer=transformer()
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def frames_of(pipeline: Any, **settings: Any) -> torch.Tensor:
    return pipeline(**settings, output_type="np").frames[0]
