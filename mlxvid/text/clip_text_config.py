"""Sizes of CLIP's text encoder, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass

from .clip_vision_config import ACTIVATIONS

# What every config.json said before transformers knew better (huggingface/transformers#24773).
OLD_EOS = 2


@dataclass(frozen=True)
class CLIPTextConfig:
    """The config.json of a CLIP text encoder, with transformers' keys and defaults.

    eos_token_id: where the text ends, whose state is the text's; where it is :data:`OLD_EOS`, the
    largest id is. Raises ValueError for an unknown activation.
    """

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    eos_token_id: int = 49407

    def __post_init__(self):
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act {self.hidden_act!r} is none of: {', '.join(ACTIVATIONS)}")


# The sizes of the text encoder of openai/clip-vit-large-patch14.
CLIP_L = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12)
