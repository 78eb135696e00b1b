"""A tiny Wan transformer, and LoRAs for it in every spelling."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.models.wan.transformer import WanTransformer3DModel
from tests.weights.lora_tensors import random, weights

CONFIG = dict(
    num_attention_heads=2,
    attention_head_dim=32,
    in_channels=6,
    out_channels=4,
    text_dim=32,
    freq_dim=32,
    ffn_dim=96,
    num_layers=2,
    image_dim=32,
    added_kv_proj_dim=64,
    pos_embed_seq_len=6,
)


# Layers by Diffusers' name, the original's, and (out, in).
LAYERS = {
    "blocks.0.attn1.to_q": ("blocks.0.self_attn.q", 64, 64),
    "blocks.1.attn2.to_out.0": ("blocks.1.cross_attn.o", 64, 64),
    "blocks.1.attn2.add_k_proj": ("blocks.1.cross_attn.k_img", 64, 64),
    "blocks.0.ffn.net.0.proj": ("blocks.0.ffn.0", 96, 64),
    "blocks.1.ffn.net.2": ("blocks.1.ffn.2", 64, 96),
    "condition_embedder.time_proj": ("time_projection.1", 384, 64),
    "condition_embedder.image_embedder.ff.net.2": ("img_emb.proj.3", 64, 32),
    "proj_out": ("head.head", 16, 64),
}


STYLES = {
    "diffusers": (
        "transformer.{ours}.lora_A.weight",
        "transformer.{ours}.lora_B.weight",
        "transformer.{ours}.alpha",
    ),
    "peft": (
        "base_model.model.{ours}.lora_A.default.weight",
        "base_model.model.{ours}.lora_B.default.weight",
        "{ours}.alpha",
    ),
    "plain": ("{ours}.lora_A.weight", "{ours}.lora_B.weight", "{ours}.alpha"),
    "older diffusers": (
        "transformer.{ours}.lora.down.weight",
        "transformer.{ours}.lora.up.weight",
        "transformer.{ours}.alpha",
    ),
    "original": ("{theirs}.lora_down.weight", "{theirs}.lora_up.weight", "{theirs}.alpha"),
    "comfyui": (
        "diffusion_model.{theirs}.lora_down.weight",
        "diffusion_model.{theirs}.lora_up.weight",
        "diffusion_model.{theirs}.alpha",
    ),
    "comfyui, peft": (
        "diffusion_model.{theirs}.lora_A.weight",
        "diffusion_model.{theirs}.lora_B.weight",
        "diffusion_model.{theirs}.alpha",
    ),
    "kohya": (
        "lora_unet_{flat}.lora_down.weight",
        "lora_unet_{flat}.lora_up.weight",
        "lora_unet_{flat}.alpha",
    ),
    "VideoX-Fun": (
        "lora_unet__{flat}.lora_down.weight",
        "lora_unet__{flat}.lora_up.weight",
        "lora_unet__{flat}.alpha",
    ),
    "DiffSynth-Studio": (
        "pipe.dit.{theirs}.lora_A.default.weight",
        "pipe.dit.{theirs}.lora_B.default.weight",
        "pipe.dit.{theirs}.alpha",
    ),
    "original checkpoints": (
        "model.diffusion_model.{theirs}.lora_down.weight",
        "model.diffusion_model.{theirs}.lora_up.weight",
        "model.diffusion_model.{theirs}.alpha",
    ),
    "unet": ("unet.{ours}.lora.down.weight", "unet.{ours}.lora.up.weight", "unet.{ours}.alpha"),
    "layers of Diffusers' own": (
        "{ours}.lora_linear_layer.down.weight",
        "{ours}.lora_linear_layer.up.weight",
        "{ours}.alpha",
    ),
    "PEFT, of the original": (
        "base_model.model.{theirs}.lora_A.weight",
        "base_model.model.{theirs}.lora_B.weight",
        "base_model.model.{theirs}.alpha",
    ),
    "LyCORIS": (
        "lycoris_{flat}.lora_down.weight",
        "lycoris_{flat}.lora_up.weight",
        "lycoris_{flat}.alpha",
    ),
    "kohya, diffusers": (
        "lora_unet_{flat_ours}.lora_down.weight",
        "lora_unet_{flat_ours}.lora_up.weight",
        "lora_unet_{flat_ours}.alpha",
    ),
}


# Full differences by key; the tensor that each changes.
FULL = {
    "diffusion_model.blocks.0.self_attn.norm_q.diff": "blocks.0.attn1.norm_q.weight",
    "diffusion_model.blocks.1.cross_attn.norm_k_img.diff": "blocks.1.attn2.norm_added_k.weight",
    "diffusion_model.blocks.0.norm3.diff": "blocks.0.norm2.weight",
    "diffusion_model.blocks.0.norm3.diff_b": "blocks.0.norm2.bias",
    "diffusion_model.blocks.1.modulation.diff": "blocks.1.scale_shift_table",
    "diffusion_model.blocks.0.diff_m": "blocks.0.scale_shift_table",
    "diffusion_model.head.diff_m": "scale_shift_table",
    "diffusion_model.head.head.diff": "proj_out.weight",
    "diffusion_model.head.head.diff_b": "proj_out.bias",
    "diffusion_model.blocks.1.ffn.0.diff": "blocks.1.ffn.net.0.proj.weight",
    "diffusion_model.blocks.1.ffn.0.diff_b": "blocks.1.ffn.net.0.proj.bias",
    "diffusion_model.blocks.1.self_attn.v.diff_b": "blocks.1.attn1.to_v.bias",
    "diffusion_model.text_embedding.2.diff_b": "condition_embedder.text_embedder.linear_2.bias",
    "diffusion_model.img_emb.proj.0.diff": "condition_embedder.image_embedder.norm1.weight",
    "diffusion_model.img_emb.emb_pos.diff": "condition_embedder.image_embedder.pos_embed",
    "diffusion_model.patch_embedding.diff": "patch_embedding.weight",
    "diffusion_model.patch_embedding.diff_b": "patch_embedding.bias",
}


TEXT_ONLY = dict(in_channels=4, image_dim=None, added_kv_proj_dim=None, pos_embed_seq_len=None)
"""What a model for text to video has where the other one reads pictures."""


def network(bits: int | None = None, **changes) -> WanTransformer3DModel:
    """A tiny model, always the same, with its blocks' matrices quantized where bits are given."""
    network = WanTransformer3DModel(WanTransformerConfig(**{**CONFIG, **changes}))
    names = [(name, weight.shape) for name, weight in tree_flatten(network.parameters())]
    network.load_weights(
        [
            (name, mx.array(random(*shape, seed=i) / (shape[-1] ** 0.5)))
            for i, (name, shape) in enumerate(names)
        ]
    )
    if bits:
        nn.quantize(network, 32, bits, class_predicate=network.quantizable)
    return network


def run(network: WanTransformer3DModel) -> np.ndarray:
    x = mx.array(random(2, 2, 4, 6, 6, seed=1))
    text = mx.array(random(2, 8, 32, seed=2))
    image = mx.array(random(2, 6, 32, seed=3))
    return np.array(network(x, mx.array([900.0, 7.0]), text, image))


def factors(
    rank: int = 3, alpha: float | None = 6.0, seed: int = 0
) -> dict[str, tuple[np.ndarray, np.ndarray, float | None]]:
    """down, up and alpha by Diffusers' layer name."""
    return {
        ours: (
            random(rank, i, seed=seed + n) * 0.3,
            random(o, rank, seed=seed + 100 + n) * 0.1,
            alpha,
        )
        for n, (ours, (_, o, i)) in enumerate(LAYERS.items())
    }


def spelled(style: str, lora: dict) -> dict[str, np.ndarray]:
    tensors = {}
    for ours, (down, up, alpha) in lora.items():
        theirs = LAYERS[ours][0]
        names = dict(
            ours=ours,
            theirs=theirs,
            flat=theirs.replace(".", "_"),
            flat_ours=ours.replace(".", "_"),
        )
        for key, value in zip(STYLES[style], (down, up, alpha), strict=True):
            if value is not None:
                tensors[key.format(**names)] = np.asarray(value, np.float32)
    return tensors


def by_hand(before: dict[str, np.ndarray], lora: dict, scale: float) -> dict[str, np.ndarray]:
    after = dict(before)
    for ours, (down, up, alpha) in lora.items():
        after[f"{ours}.weight"] = (
            after[f"{ours}.weight"]
            + scale * (1 if alpha is None else alpha / len(down)) * up @ down
        )
    return after


def merged(plain: nn.Module, lora: dict, scale: float) -> dict[str, np.ndarray]:
    after = by_hand(weights(plain), lora, scale)
    return {name: after[f"{name}.weight"] for name in lora}
