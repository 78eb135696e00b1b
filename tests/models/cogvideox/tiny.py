"""Tiny CogVideoX models with random weights, made by Diffusers and saved as the released ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel

from tests.models.wan.tiny import randomised, tokenizer

CHANNELS = 4
TEXT = 20
TOKENS = 20
# Wide enough that groups of 64 can be quantized.
HEADS = 4
HEAD_DIM = 16
SIZE = (64, 48)  # width and height of the training's clips
FRAMES = 17
SCALES = {"2b": 1.15258426}
SCHEDULE = dict(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="v_prediction",
    rescale_betas_zero_snr=True,
    set_alpha_to_one=True,
    clip_sample=False,
    timestep_spacing="trailing",
)
_ROTARY = dict(use_rotary_positional_embeddings=True)
_IN_TIME = dict(**_ROTARY, patch_size_t=2, patch_bias=False, sample_height=40, sample_width=40)
_PICTURE = dict(in_channels=2 * CHANNELS)
KINDS: dict[str, dict[str, Any]] = {
    "2b": {},
    "5b": _ROTARY,
    "5b-i2v": {**_ROTARY, **_PICTURE, "use_learned_positional_embeddings": True},
    "1.5": _IN_TIME,
    "1.5-i2v": {**_IN_TIME, **_PICTURE, "ofs_embed_dim": 24},
}


def transformer(kind: str) -> CogVideoXTransformer3DModel:
    config = dict(
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_DIM,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        time_embed_dim=24,
        text_embed_dim=TEXT,
        num_layers=2,
        sample_width=SIZE[0] // 8,
        sample_height=SIZE[1] // 8,
        sample_frames=FRAMES,
        max_text_seq_length=TOKENS,
    )
    network = randomised(CogVideoXTransformer3DModel(**{**config, **KINDS[kind]}), 1)
    if kind == "5b-i2v":  # a buffer, in float64
        embed = network.patch_embed
        drawn = torch.randn(embed.pos_embedding.shape, generator=torch.Generator().manual_seed(5))
        embed.pos_embedding = 0.3 * drawn
    return network


def vae(kind: str) -> AutoencoderKLCogVideoX:
    network = AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 16),
        latent_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=4,
        sample_height=SIZE[1],
        sample_width=SIZE[0],
        scaling_factor=SCALES.get(kind, 0.7),
        invert_scale_latents=kind.startswith("1.5"),
    )
    randomised(network, 2)
    with torch.no_grad():  # within what a frame can show
        for parameter in network.decoder.conv_out.parameters():
            parameter.mul_(0.12)
    return network


def text_encoder(vocabulary: int) -> T5EncoderModel:
    config = T5Config(
        d_model=TEXT,
        d_ff=32,
        d_kv=8,
        num_heads=3,
        num_layers=2,
        vocab_size=vocabulary,
        feed_forward_proj="gated-gelu",
    )
    return randomised(T5EncoderModel(config), 3, 0.5)


def scheduler(kind: str) -> CogVideoXDDIMScheduler | CogVideoXDPMScheduler:
    if kind == "2b":
        return CogVideoXDDIMScheduler(**SCHEDULE, snr_shift_scale=3.0)
    return CogVideoXDPMScheduler(**SCHEDULE, snr_shift_scale=1.0)


def pipeline(kind: str) -> CogVideoXPipeline | CogVideoXImageToVideoPipeline:
    """The reference's own pipeline, whole."""
    words = tokenizer()
    cls = CogVideoXImageToVideoPipeline if kind.endswith("i2v") else CogVideoXPipeline
    return cls(
        tokenizer=words,
        text_encoder=text_encoder(len(words)),
        vae=vae(kind),
        transformer=transformer(kind),
        scheduler=scheduler(kind),
    )


def write_model(folder: Path, kind: str) -> Path:
    """Write a whole tiny model to `folder` and return it."""
    pipeline(kind).save_pretrained(folder)
    return folder
