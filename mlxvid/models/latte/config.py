"""The sizes of Latte's transformer, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LatteConfig:
    """The config of Diffusers' LatteTransformer3DModel, with its defaults where it has any.

    The fields that are checked have one value in every checkpoint; others raise ValueError.
    """

    num_attention_heads: int = 16
    attention_head_dim: int = 88
    in_channels: int = 4
    out_channels: int | None = None  # None: in_channels
    num_layers: int = 1
    cross_attention_dim: int | None = None
    attention_bias: bool = False
    sample_size: int = 64  # latent positions on a side of the training clips
    patch_size: int = 2
    activation_fn: str = "geglu"
    norm_type: str = "layer_norm"
    norm_elementwise_affine: bool = True
    norm_eps: float = 1e-5
    caption_channels: int = 4096
    video_length: int = 16  # frames of a clip

    def __post_init__(self):
        is_latte = (
            self.activation_fn == "gelu-approximate"
            and self.norm_type == "ada_norm_single"
            and self.norm_elementwise_affine is False
            and self.cross_attention_dim == self.hidden_size
        )
        if not is_latte:
            raise ValueError("its activation, norms or cross-attention are not Latte's")

    @property
    def hidden_size(self) -> int:
        return self.num_attention_heads * self.attention_head_dim
