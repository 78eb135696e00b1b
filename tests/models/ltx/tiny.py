"""Tiny LTX-Video models with random weights, made by Diffusers and saved as the released ones are.

Their VAEs have the released structure in every generation, so their latents have 1 + 8k frames and
32 pixels a position.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXImageToVideoPipeline,
    LTXLatentUpsamplePipeline,
    LTXPipeline,
    LTXVideoTransformer3DModel,
)
from diffusers.pipelines.ltx.modeling_latent_upsampler import LTXLatentUpsamplerModel
from transformers import T5Config, T5EncoderModel

from tests.models.wan.tiny import randomised, tokenizer

CHANNELS = 6
TEXT = 20
HEADS = 3
HEAD_DIM = 10

_PLAIN = ("LTXVideoDownBlock3D",) * 4
_SHARED = dict(
    in_channels=3,
    out_channels=3,
    latent_channels=CHANNELS,
    patch_size=4,
    spatial_compression_ratio=32,
    temporal_compression_ratio=8,
)
VAES = {
    "A": dict(
        block_out_channels=(8, 8, 12, 12),
        decoder_block_out_channels=(8, 8, 12, 12),
        down_block_types=_PLAIN,
        layers_per_block=(2, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 2, 1, 1, 2),
    ),
    "B": dict(
        block_out_channels=(8, 8, 12, 12),
        decoder_block_out_channels=(8, 16, 32),
        down_block_types=_PLAIN,
        layers_per_block=(1, 2, 1, 1, 1),
        decoder_layers_per_block=(1, 2, 1, 2),
        decoder_spatio_temporal_scaling=(True, True, True),
        decoder_inject_noise=(True, True, True, False),
        upsample_residual=(True, True, True),
        upsample_factor=(2, 2, 2),
        timestep_conditioning=True,
    ),
    "C": dict(
        block_out_channels=(8, 16, 32, 64, 128),
        decoder_block_out_channels=(8, 16, 32),
        down_block_types=("LTXVideo095DownBlock3D",) * 4,
        layers_per_block=(1, 2, 1, 1, 1),
        decoder_layers_per_block=(1, 2, 1, 1),
        spatio_temporal_scaling=(True, True, True, True),
        decoder_spatio_temporal_scaling=(True, True, True),
        decoder_inject_noise=(False, False, False, False),
        downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
        upsample_residual=(True, True, True),
        upsample_factor=(2, 2, 2),
        timestep_conditioning=True,
    ),
}
# The scheduler's config of 0.9.0, with the shift by tokens; of 0.9.5 on it is plain.
SHIFTED = dict(
    use_dynamic_shifting=True,
    base_shift=0.95,
    max_shift=2.05,
    base_image_seq_len=1024,
    max_image_seq_len=4096,
    shift_terminal=0.1,
)


def vae(generation: str) -> AutoencoderKLLTXVideo:
    network = randomised(AutoencoderKLLTXVideo(**_SHARED, **VAES[generation]), 2)
    generator = torch.Generator().manual_seed(5)
    network.latents_mean.copy_(0.3 * torch.randn(CHANNELS, generator=generator))
    network.latents_std.copy_(0.5 + torch.rand(CHANNELS, generator=generator))
    return network


def transformer() -> LTXVideoTransformer3DModel:
    network = LTXVideoTransformer3DModel(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_DIM,
        cross_attention_dim=HEADS * HEAD_DIM,
        num_layers=3,
        caption_channels=TEXT,
    )
    return randomised(network, 1)


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


def upsampler() -> LTXLatentUpsamplerModel:
    network = LTXLatentUpsamplerModel(
        in_channels=CHANNELS, mid_channels=32, num_blocks_per_stage=2, dims=3
    )
    return randomised(network, 4)


def pipeline(generation: str) -> LTXPipeline | LTXConditionPipeline:
    """The reference's own pipeline of a generation of the VAE."""
    words = tokenizer()
    kind = LTXConditionPipeline if generation == "C" else LTXPipeline
    pipe = kind(
        scheduler=FlowMatchEulerDiscreteScheduler(**({} if generation == "C" else SHIFTED)),
        vae=vae(generation),
        text_encoder=text_encoder(len(words)),
        tokenizer=words,
        transformer=transformer(),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def from_picture(pipe: LTXPipeline) -> LTXImageToVideoPipeline:
    """The reference's pipeline from a first picture, of the parts of another."""
    made = LTXImageToVideoPipeline(**pipe.components)
    made.set_progress_bar_config(disable=True)
    return made


def upsampling(pipe: LTXConditionPipeline, network: LTXLatentUpsamplerModel):
    """The reference's pipeline that makes the latents of another twice as large."""
    made = LTXLatentUpsamplePipeline(vae=pipe.vae, latent_upsampler=network)
    made.set_progress_bar_config(disable=True)
    return made


def saved(
    pipe, folder: Path, release: str | None, network: LTXLatentUpsamplerModel | None = None
) -> Path:
    """The folder of a model in the Diffusers layout, marked as a release of LTX-Video, or not."""
    pipe.save_pretrained(folder)
    if network is not None:
        network.save_pretrained(folder / "latent_upsampler")
    if release is None:
        return folder
    index = folder / "model_index.json"
    values = json.loads(index.read_text())
    index.write_text(json.dumps({**values, "ltx_release": release}))
    return folder
