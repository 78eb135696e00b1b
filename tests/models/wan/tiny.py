"""Tiny Wan 2.1 models with random weights, made by Diffusers and saved as the released ones are."""

from __future__ import annotations

import io
from pathlib import Path

import sentencepiece
import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

KINDS = ("t2v", "i2v", "flf2v")
WORDS = [
    "a red ball moving left",
    "a blue star on a white background",
    "two green rings turn slowly",
    "blurry, ugly",
]
CHANNELS = 4
# Wide enough that groups of 64 can be quantized.
HEADS = 2
HEAD_DIM = 32
TEXT = 64
IMAGE = 16
SIGHT = 28  # pixels of the side that CLIP sees


def randomised(module: torch.nn.Module, seed: int, scale: float = 1.0) -> torch.nn.Module:
    """Every parameter drawn anew, so that none is zero or one: norms, biases and tables too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 1
            spread = scale * fan**-0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            is_norm = parameter.ndim == 1 and name.endswith("weight")
            if is_norm or name.endswith("gamma"):
                parameter.add_(1.0)
    return module.eval()


def tokenizer() -> T5Tokenizer:
    """A T5 tokenizer over the pieces of a few captions."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS * 4),
        model_writer=model,
        vocab_size=70,
        model_type="unigram",
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return T5Tokenizer(
        vocab=[(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(len(pieces))],
        extra_ids=0,
    )


def transformer(kind: str) -> WanTransformer3DModel:
    pictures = dict(
        in_channels=2 * CHANNELS + 4, image_dim=IMAGE, added_kv_proj_dim=HEADS * HEAD_DIM
    )
    places = dict(pos_embed_seq_len=2 * (1 + (SIGHT // 14) ** 2)) if kind == "flf2v" else {}
    network = WanTransformer3DModel(
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_DIM,
        out_channels=CHANNELS,
        text_dim=TEXT,
        freq_dim=32,
        ffn_dim=128,
        num_layers=2,
        rope_max_seq_len=64,
        **({"in_channels": CHANNELS} if kind == "t2v" else pictures | places),
    )
    return randomised(network, 1)


def vae() -> AutoencoderKLWan:
    network = AutoencoderKLWan(
        base_dim=8,
        z_dim=CHANNELS,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.5, 0.8, 1.2, 2.0],
    )
    return randomised(network, 2)


def text_encoder(vocabulary: int) -> UMT5EncoderModel:
    config = UMT5Config(
        d_model=TEXT,
        d_ff=64,
        d_kv=16,
        num_heads=4,
        num_layers=2,
        vocab_size=vocabulary,
        feed_forward_proj="gated-gelu",
    )
    return randomised(UMT5EncoderModel(config), 3, 0.5)


def image_encoder() -> CLIPVisionModel:
    config = CLIPVisionConfig(
        hidden_size=IMAGE,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        patch_size=14,
        image_size=SIGHT,
    )
    return randomised(CLIPVisionModel(config), 4)


def pipeline(kind: str) -> WanPipeline | WanImageToVideoPipeline:
    """The reference's own pipeline, whole."""
    words = tokenizer()
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        num_train_timesteps=1000,
        flow_shift=3.0,
    )
    parts = dict(
        tokenizer=words,
        text_encoder=text_encoder(len(words)),
        vae=vae(),
        scheduler=scheduler,
        transformer=transformer(kind),
    )
    if kind == "t2v":
        return WanPipeline(**parts)
    processor = CLIPImageProcessor(
        size={"shortest_edge": SIGHT}, crop_size={"height": SIGHT, "width": SIGHT}
    )
    return WanImageToVideoPipeline(
        **parts, image_encoder=image_encoder(), image_processor=processor
    )


def write_model(folder: Path, kind: str) -> Path:
    """Write a whole tiny model to `folder` and return it."""
    pipeline(kind).save_pretrained(folder)
    return folder
