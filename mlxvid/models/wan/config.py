"""Sizes of Wan's transformer, read from its config.json (the VAE's are in vae_config.py)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WanTransformerConfig:
    """The diffusion transformer, with the defaults of Diffusers' WanTransformer3DModel (14B).

    A model that starts from pictures has `in_channels` = noise + mask + the pictures' latents. With
    CLIP's states of them as a condition it has `image_dim` (CLIP's width) and `added_kv_proj_dim`;
    one with a first and a last picture has `pos_embed_seq_len`, the number of CLIP's tokens for
    both. Raises ValueError for values that don't fit together.
    """

    patch_size: list[int] = field(default_factory=lambda: [1, 2, 2])
    num_attention_heads: int = 40
    attention_head_dim: int = 128
    in_channels: int = 16
    out_channels: int | None = 16
    text_dim: int = 4096
    freq_dim: int = 256
    ffn_dim: int = 13824
    num_layers: int = 40
    cross_attn_norm: bool = True
    eps: float = 1e-6
    image_dim: int | None = None
    added_kv_proj_dim: int | None = None
    pos_embed_seq_len: int | None = None

    def __post_init__(self):
        if len(self.patch_size) != 3 or self.patch_size[1] != self.patch_size[2]:
            raise ValueError(f"patches of {self.patch_size} latents")
        if (self.added_kv_proj_dim is None) != (self.image_dim is None):
            raise ValueError("only one of image_dim and added_kv_proj_dim")

    @property
    def hidden_size(self) -> int:
        return self.num_attention_heads * self.attention_head_dim
