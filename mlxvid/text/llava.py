"""LLaVA as an encoder of text and a picture: its Llama's states before the last two layers."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from .clip_vision import CLIPVisionModel
from .llama import LlamaEncoder
from .llava_config import LlavaConfig

LANGUAGE = "language_model.model."
VISION = "vision_tower."


class Projector(nn.Module):
    """A picture's tokens [B, N, V] -> tokens as the language model has them, [B, N, D]."""

    def __init__(self, config: LlavaConfig):
        super().__init__()
        bias = config.multimodal_projector_bias
        width = config.text_config.hidden_size
        self.linear_1 = nn.Linear(config.vision_config.hidden_size, width, bias=bias)
        self.linear_2 = nn.Linear(width, width, bias=bias)

    def __call__(self, x: mx.array) -> mx.array:
        return self.linear_2(nn.gelu(self.linear_1(x)))


class LlavaEncoder(nn.Module):
    """Token ids int32 [B, L], their mask bool [B, L] and pixels [B, H, W, 3] -> states [B, L, D].

    Transformers' LlavaForConditionalGeneration up to `hidden_states[-3]` (arXiv:2304.08485). Each
    row has the id of the image token as often as its picture has tokens, and is padded on the right
    (:class:`mlxvid.text.llama.LlamaEncoder`). Pixels: :func:`mlxvid.text.clip_vision.pixels_of`.
    """

    tables = (f"{LANGUAGE}embed_tokens",)
    """The embeddings of which a call uses few rows: see :mod:`mlxvid.layers.streaming`."""

    def __init__(self, config: LlavaConfig):
        super().__init__()
        self.image_token = config.image_token_index
        self.language_model = {"model": LlamaEncoder(config.text_config)}
        self.vision_tower = CLIPVisionModel(config.vision_config)
        self.multi_modal_projector = Projector(config)

    def pieces(self) -> dict[str, nn.Module]:
        """The layers of both encoders, by their names, whose weights are used one after another."""
        named = {
            LANGUAGE + name: layer for name, layer in self.language_model["model"].pieces().items()
        }
        for number, layer in enumerate(self.vision_tower.vision_model.encoder.layers):
            named[f"{VISION}vision_model.encoder.layers.{number}"] = layer
        return named

    def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Each encoder's own names, and nothing of what its language model does not run.

        Since transformers 5 the language model may stand as "model.language_model", with the head
        beside it.
        """
        language = {}
        vision = {}
        kept = {}
        for name, weight in weights.items():
            name = name.removeprefix("model.")
            if name.startswith("language_model."):
                language[name.removeprefix("language_model.")] = weight
            elif name.startswith(VISION):
                vision[name.removeprefix(VISION)] = weight
            elif name != "lm_head.weight":
                kept[name] = weight
        for name, weight in self.language_model["model"].sanitize(language).items():
            kept[LANGUAGE + name] = weight
        for name, weight in self.vision_tower.sanitize(vision).items():
            kept[VISION + name] = weight
        return kept

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the language model's attention and feed-forward."""
        return name.startswith(LANGUAGE) and LlamaEncoder.quantizable(name, module)

    def __call__(self, ids: mx.array, mask: mx.array, pixels: mx.array) -> mx.array:
        picture = self.multi_modal_projector(self.vision_tower(pixels)[:, 1:])
        language = self.language_model["model"]
        x = language.embed_tokens(ids)
        placed = ids == self.image_token
        order = mx.maximum(mx.cumsum(placed.astype(mx.int32), axis=1) - 1, 0)
        tokens = mx.take_along_axis(picture.astype(x.dtype), order[..., None], axis=1)
        return language.states_of(mx.where(placed[..., None], tokens, x))
