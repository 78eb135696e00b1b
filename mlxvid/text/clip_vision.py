"""CLIP's picture encoder: what a picture shows, for models that continue from one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from PIL import Image

from mlxvid.errors import WeightsError
from mlxvid.layers.conv import channels_last

from .clip_vision_config import CLIPVisionConfig

ACTIVATIONS = {"quick_gelu": nn.gelu_fast_approx, "gelu": nn.gelu}
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class Embeddings(nn.Module):
    """Pixels [B, H, W, 3] -> a class token and one token a patch, with learned positions: [B, 1 +
    N, C].
    """

    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        dim, patch = config.hidden_size, config.patch_size
        self.class_embedding = mx.zeros((dim,))
        self.patch_embedding = nn.Conv2d(config.num_channels, dim, patch, patch, bias=False)
        self.position_embedding = nn.Embedding((config.image_size // patch) ** 2 + 1, dim)

    def __call__(self, pixels: mx.array) -> mx.array:
        patches = self.patch_embedding(pixels.astype(self.class_embedding.dtype)).flatten(1, 2)
        first = mx.broadcast_to(self.class_embedding, (len(patches), 1, patches.shape[-1]))
        return mx.concatenate([first, patches], axis=1) + self.position_embedding.weight


class Attention(nn.Module):
    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        dim = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def __call__(self, x: mx.array) -> mx.array:
        b, n, c = x.shape
        q, k, v = (
            linear(x).reshape(b, n, self.heads, -1).transpose(0, 2, 1, 3)
            for linear in (self.q_proj, self.k_proj, self.v_proj)
        )
        x = mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5)
        return self.out_proj(x.transpose(0, 2, 1, 3).reshape(b, n, c))


class MLP(nn.Module):
    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        self.activation = ACTIVATIONS[config.hidden_act]
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def __call__(self, x: mx.array) -> mx.array:
        return self.fc2(self.activation(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.self_attn = Attention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = MLP(config)

    def __call__(self, x: mx.array) -> mx.array:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        self.layers = [Layer(config) for _ in range(config.num_hidden_layers)]


class VisionTransformer(nn.Module):
    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.pre_layrnorm = nn.LayerNorm(
            config.hidden_size, config.layer_norm_eps
        )  # so misspelt in every checkpoint
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class CLIPVisionModel(nn.Module):
    """Pixels [B, H, W, 3] (see :func:`pixels_of`) -> states [B, 1 + N, C] before the last layer:
    transformers' hidden_states[-2].

    The picture encoder of CLIP (arXiv:2103.00020). Its last layer and its last norm are there for
    the checkpoint's sake, and not run.
    """

    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        self.config = config
        self.vision_model = VisionTransformer(config)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolutions with their channels last; names with and without "vision_model."; no table
        of positions' numbers.
        """
        prefix = (
            "" if any(name.startswith("vision_model.") for name in weights) else "vision_model."
        )
        unused = ("position_ids", "visual_projection.weight")
        return {
            prefix + name: channels_last(weight)
            for name, weight in weights.items()
            if not name.endswith(unused)
        }

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """The matrices of the layers; patches and positions stay precise."""
        return isinstance(module, nn.Linear)

    def __call__(self, pixels: mx.array) -> mx.array:
        x = self.vision_model.pre_layrnorm(self.vision_model.embeddings(pixels))
        for layer in self.vision_model.encoder.layers[:-1]:
            x = layer(x)
        return x


def pixels_of(picture: np.ndarray, preprocessor: Mapping[str, Any]) -> mx.array:
    """A picture uint8 [H, W, 3] as CLIP sees it, float32 [1, h, w, 3]: resized, cropped in the
    middle, normalised.

    preprocessor: what preprocessor_config.json says; missing keys are those of transformers'
    CLIPImageProcessor, which this equals (its Pillow form). Raises :class:`WeightsError` for one
    that asks for something else.
    """
    try:
        if preprocessor.get("do_resize", True):
            size = _resized(picture.shape[:2], preprocessor.get("size", 224))
            resample = Image.Resampling(preprocessor.get("resample", Image.Resampling.BICUBIC))
            picture = np.asarray(Image.fromarray(picture).resize(size[::-1], resample))
        if preprocessor.get("do_center_crop", True):
            crop = preprocessor.get("crop_size", 224)
            height, width = (
                (crop, crop) if isinstance(crop, int) else (crop["height"], crop["width"])
            )
            top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
            if min(top, left) < 0 or min(height, width) < 1:
                raise ValueError("the crop is larger than the picture")
            picture = picture[top : top + height, left : left + width]
        pixels = picture.astype(np.float32)
        if preprocessor.get("do_rescale", True):
            pixels *= preprocessor.get("rescale_factor", 1 / 255)
        if preprocessor.get("do_normalize", True):
            mean, std = (
                np.array(preprocessor.get(key, own), np.float32)
                for key, own in (("image_mean", MEAN), ("image_std", STD))
            )
            pixels = (pixels - mean.reshape(3)) / std.reshape(3)
    except (TypeError, ValueError, KeyError):
        raise WeightsError(
            "preprocessor_config.json asks for a picture that CLIP can't be given; download the model again."
        ) from None
    return mx.array(pixels)[None]


def _resized(size: tuple[int, int], wanted: Any) -> tuple[int, int]:
    """(height, width) to resize a picture of `size` to: the shorter edge to `wanted`, unless it
    names both.
    """
    if isinstance(wanted, Mapping) and "shortest_edge" not in wanted:
        return wanted["height"], wanted["width"]
    edge = wanted if isinstance(wanted, int) else wanted["shortest_edge"]
    return tuple(int(edge * side / min(size)) for side in size)
