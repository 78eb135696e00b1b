"""Sizes of CLIP's image encoder, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass

ACTIVATIONS = ("quick_gelu", "gelu")


@dataclass(frozen=True)
class CLIPVisionConfig:
    """The config.json of a CLIP image encoder, with transformers' keys and defaults.

    Raises ValueError for an unknown activation.
    """

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 224
    patch_size: int = 32
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5

    def __post_init__(self):
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act {self.hidden_act!r} is none of: {', '.join(ACTIVATIONS)}")
