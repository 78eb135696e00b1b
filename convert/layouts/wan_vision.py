"""Wan 2.1's image encoder as released -> transformers' CLIPVisionModel.

Facts from wan/modules/clip.py of Wan-Video/Wan2.1, transformers' CLIP, and the config.json of
laion/CLIP-ViT-H-14-laion2B-s32B-b79K. Files repackaged for ComfyUI have transformers' names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mlxvid.weights.tensors import Tensor

from ..release import block_count, shape_of

RELEASED_MARKS = frozenset({"visual.cls_embedding", "visual.transformer.0.attn.to_qkv.weight"})
REPACKAGED_MARKS = frozenset(
    {
        "vision_model.embeddings.class_embedding",
        "vision_model.encoder.layers.0.self_attn.q_proj.weight",
    }
)
# The only image encoder of Wan 2.1 is a ViT-H with heads of this size, which no tensor shows.
HEAD_DIM = 80
_NAMES = {
    "cls_embedding": "embeddings.class_embedding",
    "patch_embedding.weight": "embeddings.patch_embedding.weight",
    "pos_embedding": "embeddings.position_embedding.weight",
    "pre_norm.weight": "pre_layrnorm.weight",
    "pre_norm.bias": "pre_layrnorm.bias",
    "post_norm.weight": "post_layernorm.weight",
    "post_norm.bias": "post_layernorm.bias",
}
_BLOCK_NAMES = {
    "norm1": "layer_norm1",
    "attn.proj": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}
_BLOCK = re.compile(r"transformer\.(\d+)\.(.+)\.(weight|bias)")
# The projection to the space that CLIP shares with texts, which Wan does not use.
_UNUSED = frozenset({"visual.head", "visual_projection.weight"})


def tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image tower's tensors by transformers' names, with queries, keys and values apart.

    The text tower and the projection are left out.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in original.items():
        if name.startswith("vision_model."):
            renamed[name] = tensor
        elif name.startswith("visual.") and name not in _UNUSED:
            renamed.update(_renamed(name.removeprefix("visual."), tensor))
    return renamed


def _renamed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor of the release, which may become three."""
    match = _BLOCK.fullmatch(name)
    if match is None:
        return {f"vision_model.{_NAMES.get(name, name)}": _without_batch(name, tensor)}
    number, layer, end = match.groups()
    block = f"vision_model.encoder.layers.{number}"
    if layer == "attn.to_qkv":
        parts = zip("qkv", tensor.split(3), strict=True)
        return {f"{block}.self_attn.{kind}_proj.{end}": part for kind, part in parts}
    return {f"{block}.{_BLOCK_NAMES.get(layer, layer)}.{end}": tensor}


def _without_batch(name: str, tensor: Tensor) -> Tensor:
    """The tensor without the leading axes of one that the release gives to two of them."""
    if name == "cls_embedding":
        return tensor.reshape(tensor.values.size)
    if name == "pos_embedding":
        return tensor.reshape(*tensor.shape[-2:])
    return tensor


def config(renamed: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config.json, from the shapes of :func:`tensors` and what is known of the ViT-H."""
    width, _, patch, _ = shape_of(renamed, "vision_model.embeddings.patch_embedding.weight", 4)
    positions, _ = shape_of(renamed, "vision_model.embeddings.position_embedding.weight", 2)
    inner, _ = shape_of(renamed, "vision_model.encoder.layers.0.mlp.fc1.weight", 2)
    return {
        "architectures": ["CLIPVisionModel"],
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": block_count(renamed, "vision_model.encoder.layers."),
        "num_attention_heads": width // HEAD_DIM,
        "num_channels": 3,
        "image_size": math.isqrt(positions - 1) * patch,
        "patch_size": patch,
        "projection_dim": 1024,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-05,
        "attention_dropout": 0.0,
    }


def image_processor(side: int) -> dict[str, Any]:
    """The preprocessor_config.json: OpenAI's and LAION's of CLIP, for images of `side` pixels."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": side},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
