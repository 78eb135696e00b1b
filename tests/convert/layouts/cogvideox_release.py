"""Tiny releases of CogVideoX for SwissArmyTransformer: Diffusers' tensors by the original names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
from transformers import T5Config, T5EncoderModel

from tests.models.wan.tiny import randomised, tokenizer

TRANSFORMER_FILE = "transformer/1000/mp_rank_00_model_states.pt"
VAE_FILE = "vae/3d-vae.pt"
TEXT_FOLDER = "t5-v1_1-xxl"
PREFIX = "model.diffusion_model."
CHANNELS = 4
TEXT = 20
ROTARY = dict(use_rotary_positional_embeddings=True)
IN_TIME = dict(
    **ROTARY,
    patch_size_t=2,
    patch_bias=False,
    sample_height=300,
    sample_width=300,
    sample_frames=81,
)
KINDS: dict[str, dict[str, Any]] = {
    "2b": {},
    "5b": ROTARY,
    "5b-i2v": {**ROTARY, "use_learned_positional_embeddings": True},
    "1.5": IN_TIME,
    "1.5-i2v": {**IN_TIME, "ofs_embed_dim": 24},
}
_MODULES = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "ofs_embedding.linear_1": "ofs_embed.0",
    "ofs_embedding.linear_2": "ofs_embed.2",
    "patch_embed.proj": "mixins.patch_embed.proj",
    "patch_embed.text_proj": "mixins.patch_embed.text_proj",
    "norm_final": "transformer.final_layernorm",
    "norm_out.norm": "mixins.final_layer.norm_final",
    "norm_out.linear": "mixins.final_layer.adaLN_modulation.1",
    "proj_out": "mixins.final_layer.linear",
}
_OF_A_BLOCK = {
    "attn1.to_out.0": "transformer.layers.{}.attention.dense",
    "attn1.norm_q": "mixins.adaln_layer.query_layernorm_list.{}",
    "attn1.norm_k": "mixins.adaln_layer.key_layernorm_list.{}",
    "ff.net.0.proj": "transformer.layers.{}.mlp.dense_h_to_4h",
    "ff.net.2": "transformer.layers.{}.mlp.dense_4h_to_h",
    "norm1.norm": "transformer.layers.{}.input_layernorm",
    "norm2.norm": "transformer.layers.{}.post_attention_layernorm",
}


def transformer_config(kind: str, channels: int) -> dict[str, Any]:
    """What distinguishes the five models."""
    inputs = 2 * channels if kind.endswith("i2v") else channels
    return {"in_channels": inputs, "out_channels": channels, **KINDS[kind]}


def tiny_transformer(kind: str) -> CogVideoXTransformer3DModel:
    network = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        time_embed_dim=24,
        text_embed_dim=TEXT,
        num_layers=2,
        **transformer_config(kind, CHANNELS),
    )
    randomised(network, 1)
    if kind == "5b-i2v":  # a buffer
        table = network.patch_embed.pos_embedding
        drawn = torch.randn(table.shape, generator=torch.Generator().manual_seed(5))
        network.patch_embed.pos_embedding = drawn
    return network


def tiny_vae() -> AutoencoderKLCogVideoX:
    network = AutoencoderKLCogVideoX(
        block_out_channels=(32, 32, 64, 64), latent_channels=CHANNELS, layers_per_block=1
    )
    return randomised(network, 2)


def tiny_text_encoder() -> T5EncoderModel:
    config = T5Config(
        d_model=TEXT,
        d_ff=32,
        d_kv=8,
        num_heads=3,
        num_layers=2,
        vocab_size=len(tokenizer()),
        feed_forward_proj="gated-gelu",
    )
    return randomised(T5EncoderModel(config), 3)


def original_transformer(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A transformer's tensors by the names and in the matrices of the release."""
    made = {}
    for name, tensor in tensors.items():
        block = re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)\.(weight|bias)", name)
        if name == "patch_embed.pos_embedding":
            made["mixins.pos_embed.pos_embedding"] = tensor
        elif block is None:
            module, _, end = name.rpartition(".")
            made[f"{_MODULES[module]}.{end}"] = tensor
        elif block[2] in _OF_A_BLOCK:
            made[f"{_OF_A_BLOCK[block[2]].format(block[1])}.{block[3]}"] = tensor
    for number in range(sum(name.endswith("attn1.norm_q.weight") for name in tensors)):
        for end in ("weight", "bias"):
            block = f"transformer_blocks.{number}"
            matrices = [tensors[f"{block}.attn1.to_{x}.{end}"] for x in "qkv"]
            place = f"transformer.layers.{number}.attention.query_key_value.{end}"
            made[place] = torch.cat(matrices)
            first = tensors[f"{block}.norm1.linear.{end}"].chunk(6)
            second = tensors[f"{block}.norm2.linear.{end}"].chunk(6)
            rows = [*first[:3], *second[:3], *first[3:], *second[3:]]
            made[f"mixins.adaln_layer.adaLN_modulations.{number}.1.{end}"] = torch.cat(rows)
    return made


def original_vae(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A VAE's tensors by the names of the release."""
    made = {}
    for name, tensor in tensors.items():
        for old, new in (
            ("down_blocks.", "down."),
            ("mid_block.resnets.0.", "mid.block_1."),
            ("mid_block.resnets.1.", "mid.block_2."),
            ("resnets.", "block."),
            ("downsamplers.0", "downsample"),
            ("upsamplers.0", "upsample"),
            ("conv_shortcut", "nin_shortcut"),
        ):
            name = name.replace(old, new)
        name = re.sub(r"up_blocks\.(\d)", lambda match: f"up.{3 - int(match[1])}", name)
        made[name] = tensor
    return made


def write_release(folder: Path, kind: str) -> dict[str, torch.nn.Module]:
    """Write a tiny release of that kind to `folder`, and return what it was made of."""
    modules = {
        "transformer": tiny_transformer(kind),
        "vae": tiny_vae(),
        "text_encoder": tiny_text_encoder(),
    }
    save_transformer(folder, original_transformer(modules["transformer"].state_dict()), kind)
    vae = original_vae(modules["vae"].state_dict())
    vae["loss.discriminator.blocks.0.weight"] = torch.ones(3)
    (folder / "vae").mkdir()
    torch.save({"state_dict": vae}, folder / VAE_FILE)
    modules["text_encoder"].save_pretrained(folder / TEXT_FOLDER)
    tokenizer().save_pretrained(folder / TEXT_FOLDER)
    (folder / TEXT_FOLDER / "spiece.model").write_bytes(b"pieces")
    return modules


def save_transformer(folder: Path, tensors: dict[str, torch.Tensor], kind: str) -> None:
    """Save as the library does, with what it keeps besides the network."""
    stored = {f"{PREFIX}{name}": tensor for name, tensor in tensors.items()}
    stored[f"{PREFIX}transformer.position_embeddings.weight"] = torch.ones(64, 8)
    if kind == "2b":
        stored[f"{PREFIX}mixins.pos_embed.pos_embedding"] = torch.zeros(1, 30, 32)
    else:
        stored[f"{PREFIX}mixins.pos_embed.freqs_sin"] = torch.ones(3, 2)
        stored[f"{PREFIX}mixins.pos_embed.freqs_cos"] = torch.ones(3, 2)
    path = folder / TRANSFORMER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"module": stored}, path)
    (path.parent.parent / "latest").write_text("1000")
