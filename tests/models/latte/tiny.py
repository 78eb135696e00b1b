"""Tiny Latte models with random weights, made by Diffusers and saved as the released one is."""

from __future__ import annotations

from diffusers import (
    AutoencoderKL,
    AutoencoderKLTemporalDecoder,
    DDIMScheduler,
    LattePipeline,
    LatteTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel

from tests.models.wan.tiny import randomised, tokenizer

LENGTH = 3
CHANNELS = 4
HEADS = 2
HEAD_DIM = 12
TEXT = 20
# The released scheduler_config.json, but for a key that says what the half of the output is that
# nothing reads.
SCHEDULE = dict(
    beta_start=0.0001,
    beta_end=0.02,
    beta_schedule="linear",
    clip_sample=False,
    timestep_spacing="leading",
)


def transformer() -> LatteTransformer3DModel:
    network = LatteTransformer3DModel(
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_DIM,
        in_channels=CHANNELS,
        out_channels=2 * CHANNELS,
        num_layers=2,
        cross_attention_dim=HEADS * HEAD_DIM,
        attention_bias=True,
        sample_size=8,
        patch_size=2,
        activation_fn="gelu-approximate",
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
        caption_channels=TEXT,
        video_length=LENGTH,
    )
    return randomised(network, 1)


def vae() -> AutoencoderKL:
    levels = dict(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4
    )
    network = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=CHANNELS,
        **levels,
    )
    return randomised(network, 2)


def temporal_vae() -> AutoencoderKLTemporalDecoder:
    # Its groups are 32 whatever is asked for.
    network = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=CHANNELS,
    )
    return randomised(network, 4)


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


def pipeline() -> LattePipeline:
    """The reference's own pipeline, whole."""
    words = tokenizer()
    return LattePipeline(
        tokenizer=words,
        text_encoder=text_encoder(len(words)),
        vae=vae(),
        transformer=transformer(),
        scheduler=DDIMScheduler(**SCHEDULE),
    )
