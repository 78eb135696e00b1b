"""The two encoders of Wan 2.1 as released -> transformers' UMT5EncoderModel and CLIPVisionModel.

Facts from wan/modules/t5.py and clip.py of Wan-Video/Wan2.1, transformers' UMT5 and CLIP, and the
config.json of google/umt5-xxl and of laion/CLIP-ViT-H-14-laion2B-s32B-b79K. Files repackaged for
ComfyUI have transformers' names already.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mlxvid.weights.tensors import Tensor

from .layouts import count, sides

TEXT_MARKS = (
    frozenset(
        {
            "token_embedding.weight",
            "blocks.0.attn.q.weight",
            "blocks.0.pos_embedding.embedding.weight",
        }
    ),
    frozenset(
        {"shared.weight", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"}
    ),
)
VISION_MARKS = (
    frozenset({"visual.cls_embedding", "visual.transformer.0.attn.to_qkv.weight"}),
    frozenset(
        {
            "vision_model.embeddings.class_embedding",
            "vision_model.encoder.layers.0.self_attn.q_proj.weight",
        }
    ),
)
# In a text encoder repackaged for ComfyUI: the tokenizer's file.
PIECES = "spiece_model"
# The one picture encoder of Wan 2.1 is a ViT-H, whose heads have this size; the tensors' shapes
# don't show it.
HEAD_DIM = 80
_TEXT = {
    "token_embedding.weight": "shared.weight",
    "norm.weight": "encoder.final_layer_norm.weight",
}
_TEXT_BLOCK = {
    "norm1": "layer.0.layer_norm",
    "attn.q": "layer.0.SelfAttention.q",
    "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v",
    "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm2": "layer.1.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
}
_VISION = {
    "cls_embedding": "embeddings.class_embedding",
    "patch_embedding.weight": "embeddings.patch_embedding.weight",
    "pos_embedding": "embeddings.position_embedding.weight",
    "pre_norm.weight": "pre_layrnorm.weight",
    "pre_norm.bias": "pre_layrnorm.bias",
    "post_norm.weight": "post_layernorm.weight",
    "post_norm.bias": "post_layernorm.bias",
}
_VISION_BLOCK = {
    "norm1": "layer_norm1",
    "attn.proj": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}
# Read by nothing in Wan: the projection to the space that CLIP shares with texts.
_UNUSED = frozenset({"visual.head", "visual_projection.weight"})


def text_tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """UMT5's encoder by transformers' names; a tensor that it does not have keeps its own."""
    found = {}
    for name, tensor in original.items():
        block = re.fullmatch(r"blocks\.(\d+)\.(.+)\.(weight|bias)", name)
        if block and block[2] in _TEXT_BLOCK:
            found[f"encoder.block.{block[1]}.{_TEXT_BLOCK[block[2]]}.{block[3]}"] = tensor
        elif name != PIECES:
            found[_TEXT.get(name, name)] = tensor
    return found


def text_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """UMT5's config.json, from the shapes of :func:`text_tensors`."""
    attention = "encoder.block.0.layer.0.SelfAttention"
    vocabulary, width = sides(tensors, "shared.weight", 2)
    buckets, heads = sides(tensors, f"{attention}.relative_attention_bias.weight", 2)
    return {
        "architectures": ["UMT5EncoderModel"],
        "model_type": "umt5",
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": sides(tensors, f"{attention}.q.weight", 2)[0] // heads,
        "d_ff": sides(tensors, "encoder.block.0.layer.1.DenseReluDense.wo.weight", 2)[1],
        "num_layers": count(tensors, "encoder.block."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": 128,
        "feed_forward_proj": "gated-gelu",
        "dense_act_fn": "gelu_new",
        "is_gated_act": True,
        "layer_norm_epsilon": 1e-06,
        "dropout_rate": 0.1,
        "is_encoder_decoder": True,
        "tie_word_embeddings": False,
        "scalable_attention": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    }


def vision_tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CLIP's picture tower by transformers' names, its queries, keys and values apart; the text
    tower and the projection stay behind.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in original.items():
        inner = name.removeprefix("visual.")
        block = re.fullmatch(r"transformer\.(\d+)\.(.+)\.(weight|bias)", inner)
        if name.startswith("vision_model."):
            found[name] = tensor
        elif inner == name or name in _UNUSED:
            continue
        elif block and block[2] == "attn.to_qkv":
            for kind, part in zip("qkv", tensor.split(3), strict=True):
                found[
                    f"vision_model.encoder.layers.{block[1]}.self_attn.{kind}_proj.{block[3]}"
                ] = part
        elif block:
            found[
                f"vision_model.encoder.layers.{block[1]}.{_VISION_BLOCK.get(block[2], block[2])}.{block[3]}"
            ] = tensor
        else:
            found[f"vision_model.{_VISION.get(inner, inner)}"] = _without_batch(inner, tensor)
    return found


def _without_batch(name: str, tensor: Tensor) -> Tensor:
    """The release keeps these two with a first axis, or two, of one."""
    if name == "cls_embedding":
        return tensor.reshape(tensor.values.size)
    return tensor.reshape(*tensor.shape[-2:]) if name == "pos_embedding" else tensor


def vision_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """CLIP's config.json, from the shapes of :func:`vision_tensors` and what is known of the ViT-H."""
    width, _, patch, _ = sides(tensors, "vision_model.embeddings.patch_embedding.weight", 4)
    places, _ = sides(tensors, "vision_model.embeddings.position_embedding.weight", 2)
    return {
        "architectures": ["CLIPVisionModel"],
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": sides(tensors, "vision_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
        "num_hidden_layers": count(tensors, "vision_model.encoder.layers."),
        "num_attention_heads": width // HEAD_DIM,
        "num_channels": 3,
        "image_size": math.isqrt(places - 1) * patch,
        "patch_size": patch,
        "projection_dim": 1024,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-05,
        "attention_dropout": 0.0,
    }
