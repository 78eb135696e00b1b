"""Tiny models of LTX-Video with random weights, made by Diffusers, saved as releases are."""

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

from .reference import CHANNELS, TINY

HEADS = 2
HEAD_DIM = 14  # 28 channels, of which 4 have no position
TEXT = 20
PIPELINES = {
    "LTXPipeline": LTXPipeline,
    "LTXImageToVideoPipeline": LTXImageToVideoPipeline,
    "LTXConditionPipeline": LTXConditionPipeline,
}
# The released scheduler_config.json of the first two generations.
SHIFTED = dict(
    use_dynamic_shifting=True,
    base_shift=0.95,
    max_shift=2.05,
    base_image_seq_len=1024,
    max_image_seq_len=4096,
    shift_terminal=0.1,
)


def transformer(
    blocks: int = 2, heads: int = HEADS, head_dim: int = HEAD_DIM
) -> LTXVideoTransformer3DModel:
    network = LTXVideoTransformer3DModel(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_attention_heads=heads,
        attention_head_dim=head_dim,
        cross_attention_dim=heads * head_dim,
        num_layers=blocks,
        caption_channels=TEXT,
    )
    return randomised(network, 1)


def vae(generation: str) -> AutoencoderKLLTXVideo:
    network = AutoencoderKLLTXVideo(**TINY[generation], latent_channels=CHANNELS)
    randomised(network, 2)
    generator = torch.Generator().manual_seed(4)
    network.latents_mean.copy_(torch.randn(CHANNELS, generator=generator) / 2)
    network.latents_std.copy_(0.5 + torch.rand(CHANNELS, generator=generator))
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


def upsampler() -> LTXLatentUpsamplerModel:
    network = LTXLatentUpsamplerModel(in_channels=CHANNELS, mid_channels=32, num_blocks_per_stage=1)
    return randomised(network, 5)


def pipeline(generation: str, kind: str, blocks: int = 2) -> LTXPipeline:
    """The reference's own pipeline, whole. kind: a key of :data:`PIPELINES`."""
    words = tokenizer()
    return PIPELINES[kind](
        scheduler=FlowMatchEulerDiscreteScheduler(**({} if generation == "C" else SHIFTED)),
        vae=vae(generation),
        text_encoder=text_encoder(len(words)),
        tokenizer=words,
        transformer=transformer(blocks),
    )


def write_model(
    folder: Path, generation: str, kind: str = "LTXPipeline", upscales: bool = False
) -> Path:
    """Save such a model in the Diffusers layout; with an upsampler of its latents if asked."""
    pipeline(generation, kind).save_pretrained(folder)
    if upscales:
        upsampler().save_pretrained(folder / "latent_upsampler")
    return folder


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
    pipe: LTXPipeline,
    folder: Path,
    release: str | None,
    network: LTXLatentUpsamplerModel | None = None,
) -> Path:
    """The folder of a model in the Diffusers layout, marked as a release of LTX-Video, or not."""
    pipe.save_pretrained(folder)
    if network is not None:
        network.save_pretrained(folder / "latent_upsampler")
    if release is not None:
        index = folder / "model_index.json"
        values = json.loads(index.read_text())
        index.write_text(json.dumps({**values, "ltx_release": release}))
    return folder
