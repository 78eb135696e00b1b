"""Tiny text encoders of HunyuanVideo's, on both sides, without the rest of the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import torch
import transformers
from diffusers import HunyuanVideoImageToVideoPipeline, HunyuanVideoPipeline

from mlxvid.progress import Watch
from mlxvid.text.clip_text import CLIPTextModel
from mlxvid.text.clip_text_config import CLIPTextConfig
from mlxvid.text.llama import LlamaEncoder
from mlxvid.text.llama_config import LlamaConfig
from mlxvid.text.llava import LlavaEncoder
from mlxvid.text.llava_config import LlavaConfig
from tests.text.encoders import randomised, through

from .tokenizers_of import write_clip_tokenizer, write_llama_tokenizer

LLAMA = dict(
    vocab_size=600,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    rms_norm_eps=1e-5,
    rope_theta=500000.0,
    pad_token_id=6,
)
CLIP = dict(
    vocab_size=514,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=3,
    bos_token_id=512,
    eos_token_id=2,
)

# A picture of 24 x 24 patches, as the released model has them.
VISION = dict(
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=3,
    image_size=48,
    patch_size=2,
)
IMAGE_TOKEN = 5


@dataclass
class Encoders:
    """What the prompts need of a model: its folder, and its encoders by name."""

    path: Path
    networks: dict[str, Any]

    def text_states(
        self,
        ids: mx.array,
        mask: mx.array,
        watch: Watch,
        name: str = "text_encoder",
        *others: mx.array,
    ) -> mx.array:
        return self.networks[name](ids, mask, *others)


def clip(folder: Path):
    """CLIP in `folder`, theirs and ours."""
    write_clip_tokenizer(folder / "tokenizer_2")
    theirs = randomised(transformers.CLIPTextModel(transformers.CLIPTextConfig(**CLIP)))
    return theirs, through(folder / "text_encoder_2", theirs, CLIPTextModel, CLIPTextConfig)


def text_encoders(folder: Path) -> tuple[HunyuanVideoPipeline, Encoders]:
    """The encoders of a text-to-video model in `folder`: the reference's and ours."""
    write_llama_tokenizer(folder / "tokenizer")
    their_clip, our_clip = clip(folder)
    theirs = randomised(transformers.LlamaModel(transformers.LlamaConfig(**LLAMA)))
    llama = through(folder / "text_encoder", theirs, LlamaEncoder, LlamaConfig)
    pipeline = HunyuanVideoPipeline(
        text_encoder=theirs,
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder / "tokenizer"),
        transformer=None,
        vae=None,
        scheduler=None,
        text_encoder_2=their_clip,
        tokenizer_2=transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
    )
    return pipeline, Encoders(folder, {"text_encoder": llama, "text_encoder_2": our_clip})


def llava():
    """A LLaVA of transformers'."""
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**LLAMA),
        vision_config=transformers.CLIPVisionConfig(**VISION),
        image_token_index=IMAGE_TOKEN,
        pad_token_id=LLAMA["pad_token_id"],
    )
    return randomised(transformers.LlavaForConditionalGeneration(config))


def picture_encoders(folder: Path) -> tuple[HunyuanVideoImageToVideoPipeline, Encoders]:
    """The encoders of an image-to-video model in `folder`: the reference's and ours."""
    write_llama_tokenizer(folder / "tokenizer")
    (folder / "model_index.json").write_text("{}")
    their_clip, our_clip = clip(folder)
    theirs = llava()
    ours = through(folder / "text_encoder", theirs, LlavaEncoder, LlavaConfig)
    size = VISION["image_size"]
    processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size=size)
    processor.save_pretrained(folder / "image_processor")
    pipeline = HunyuanVideoImageToVideoPipeline(
        text_encoder=theirs,
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder / "tokenizer"),
        transformer=None,
        vae=None,
        scheduler=None,
        text_encoder_2=their_clip,
        tokenizer_2=transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        image_processor=processor,
    )
    return pipeline, Encoders(folder, {"text_encoder": ours, "text_encoder_2": our_clip})


def theirs_cut(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The reference's states [1, L, D], cut to the mask's length."""
    length = int(mask.sum())
    assert mask.shape[0] == 1 and bool(mask[0, :length].all())
    return states[:, :length]
