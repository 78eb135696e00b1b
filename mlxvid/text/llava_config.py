"""Sizes of a LLaVA that is used as an encoder of text and a picture, from its config.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from .clip_vision_config import CLIPVisionConfig
from .llama_config import LLAMA_3_8B, LlamaConfig
from .streamed import Streamed

# The image encoder of openai/clip-vit-large-patch14-336, which transformers takes for want of
# another.
CLIP_VISION_L_336 = partial(
    CLIPVisionConfig,
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    image_size=336,
    patch_size=14,
)


@dataclass(frozen=True)
class LlavaConfig:
    """The config.json of a LLaVA, with transformers' keys and defaults.

    image_token_index: the id in whose places the picture's tokens stand. Raises ValueError where
    the picture's tokens are others than those of all patches before the last layer.
    """

    text_config: LlamaConfig = field(default_factory=LlamaConfig)
    vision_config: CLIPVisionConfig = field(default_factory=CLIP_VISION_L_336)
    image_token_index: int = 32000
    projector_hidden_act: str = "gelu"
    vision_feature_layer: int = -2
    vision_feature_select_strategy: str = "default"
    multimodal_projector_bias: bool = True

    def __post_init__(self):
        for name, wanted in (
            ("projector_hidden_act", "gelu"),
            ("vision_feature_layer", -2),
            ("vision_feature_select_strategy", "default"),
        ):
            if getattr(self, name) != wanted:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not {wanted!r}")

    @property
    def image_tokens(self) -> int:
        """The tokens of a picture."""
        return (self.vision_config.image_size // self.vision_config.patch_size) ** 2

    def streamed(self, tokens: int) -> Streamed:
        """What is in memory at a time for a prompt of `tokens`, the picture's included.

        The share is that of the language model's layers, of which one is larger than any of the
        image encoder's.
        """
        return self.text_config.streamed(tokens)


# xtuner's llava-llama-3-8b-v1_1 in transformers' layout.
LLAVA_LLAMA_3_8B = LlavaConfig(text_config=LLAMA_3_8B, image_token_index=128257)
