"""The sizes of Latte's transformer, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LatteConfig:
    """Diffusers' LatteTransformer3DModel, with its defaults where it has any. What is checked only
    has one value in any checkpoint.
    """

    num_attention_heads: int = 16
    attention_head_dim: int = 88
    in_channels: int = 4
    out_channels: int | None = None  # None: as many as go in
    num_layers: int = 1
    cross_attention_dim: int | None = None
    attention_bias: bool = False
    sample_size: int = 64  # latent positions on a side of the pictures that it was trained with
    patch_size: int = 2
    activation_fn: str = "geglu"
    norm_type: str = "layer_norm"
    norm_elementwise_affine: bool = True
    norm_eps: float = 1e-5
    caption_channels: int = 4096
    video_length: int = 16  # the frames that a clip has

    def __post_init__(self):
        form = (
            self.activation_fn,
            self.norm_type,
            self.norm_elementwise_affine,
            self.cross_attention_dim,
        )
        if form != ("gelu-approximate", "ada_norm_single", False, self.hidden_size):
            raise ValueError("its activation, norms or cross-attention are not Latte's")

    @property
    def hidden_size(self) -> int:
        return self.num_attention_heads * self.attention_head_dim
