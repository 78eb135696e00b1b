"""CLIP's image encoder, for models that start from a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from PIL import Image

from mlxvid.errors import WeightsError
from mlxvid.layers.bounds import evaluate
from mlxvid.layers.conv import channels_last
from mlxvid.layers.streaming import in_memory

from .clip_layers import Encoder
from .clip_vision_config import CLIPVisionConfig

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class Embeddings(nn.Module):
    """Pixels [B, H, W, 3] -> a class token and N patch tokens with positions, [B, 1 + N, C]."""

    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        dim = config.hidden_size
        patch = config.patch_size
        self.class_embedding = mx.zeros((dim,))
        self.patch_embedding = nn.Conv2d(config.num_channels, dim, patch, patch, bias=False)
        self.position_embedding = nn.Embedding((config.image_size // patch) ** 2 + 1, dim)

    def __call__(self, pixels: mx.array) -> mx.array:
        patches = self.patch_embedding(pixels.astype(self.class_embedding.dtype)).flatten(1, 2)
        first = mx.broadcast_to(self.class_embedding, (len(patches), 1, patches.shape[-1]))
        return mx.concatenate([first, patches], axis=1) + self.position_embedding.weight


class VisionTransformer(nn.Module):
    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        self.embeddings = Embeddings(config)
        # Spelt like this in every checkpoint.
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class CLIPVisionModel(nn.Module):
    """CLIP's image encoder: pixels [B, H, W, 3] -> states [B, 1 + N, C] before the last layer.

    Pixels are those of :func:`pixels_of`, the states transformers' hidden_states[-2]. The last
    layer and the last norm exist for the checkpoint's sake, and are not run (arXiv:2103.00020).
    """

    def __init__(self, config: CLIPVisionConfig):
        super().__init__()
        self.config = config
        self.vision_model = VisionTransformer(config)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolutions with channels last, names with "vision_model.", and no unused tensors."""
        has_prefix = any(name.startswith("vision_model.") for name in weights)
        prefix = "" if has_prefix else "vision_model."
        unused = ("position_ids", "visual_projection.weight")
        kept = {}
        for name, weight in weights.items():
            if not name.endswith(unused):
                kept[prefix + name] = channels_last(weight)
        return kept

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the layers' matrices, not patches and positions."""
        return isinstance(module, nn.Linear)

    def __call__(self, pixels: mx.array) -> mx.array:
        x = self.vision_model.pre_layrnorm(self.vision_model.embeddings(pixels))
        for layer in self.vision_model.encoder.layers[:-1]:
            with in_memory(layer):
                x = layer(x)
                evaluate(x)
        return x


def pixels_of(picture: np.ndarray, preprocessor: Mapping[str, Any]) -> mx.array:
    """CLIP's input, float32 [1, h, w, 3], from a picture uint8 [H, W, 3].

    The picture is resized, cropped in the middle and normalised. preprocessor: the content of
    preprocessor_config.json; missing keys are those of transformers' CLIPImageProcessor, which
    this equals (in its Pillow form). Raises :class:`WeightsError` for values that can't be applied.
    """
    try:
        if preprocessor.get("do_resize", True):
            picture = _resized(picture, preprocessor)
        if preprocessor.get("do_center_crop", True):
            picture = _cropped(picture, preprocessor.get("crop_size", 224))
        pixels = picture.astype(np.float32)
        if preprocessor.get("do_rescale", True):
            pixels *= preprocessor.get("rescale_factor", 1 / 255)
        if preprocessor.get("do_normalize", True):
            mean = np.array(preprocessor.get("image_mean", MEAN), np.float32)
            std = np.array(preprocessor.get("image_std", STD), np.float32)
            pixels = (pixels - mean.reshape(3)) / std.reshape(3)
    except (TypeError, ValueError, KeyError):
        raise WeightsError(
            "preprocessor_config.json has values that CLIP can't use; download the model again."
        ) from None
    return mx.array(pixels)[None]


def _resized(picture: np.ndarray, preprocessor: Mapping[str, Any]) -> np.ndarray:
    height, width = _resized_size(picture.shape[:2], preprocessor.get("size", 224))
    resample = Image.Resampling(preprocessor.get("resample", Image.Resampling.BICUBIC))
    return np.asarray(Image.fromarray(picture).resize((width, height), resample))


def _resized_size(size: tuple[int, ...], wanted: Any) -> tuple[int, int]:
    """(height, width) to resize a picture of (height, width) `size` to.

    wanted: "height" and "width", or the length of the shorter edge, alone or as "shortest_edge".
    """
    if isinstance(wanted, Mapping) and "shortest_edge" not in wanted:
        return wanted["height"], wanted["width"]
    edge = wanted if isinstance(wanted, int) else wanted["shortest_edge"]
    height, width = size
    return int(edge * height / min(size)), int(edge * width / min(size))


def _cropped(picture: np.ndarray, crop: Any) -> np.ndarray:
    """The middle of a picture. crop: the side of a square, or "height" and "width"."""
    height = crop if isinstance(crop, int) else crop["height"]
    width = crop if isinstance(crop, int) else crop["width"]
    top = (picture.shape[0] - height) // 2
    left = (picture.shape[1] - width) // 2
    if min(top, left) < 0 or min(height, width) < 1:
        raise ValueError("the crop is larger than the picture")
    return picture[top : top + height, left : left + width]
