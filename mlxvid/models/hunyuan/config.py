"""Sizes of HunyuanVideo's transformer, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass, field

TOKEN_REPLACE = "token_replace"
LATENT_CONCAT = "latent_concat"


@dataclass(frozen=True)
class HunyuanVideoTransformerConfig:
    """The diffusion transformer, with the defaults of Diffusers' HunyuanVideoTransformer3DModel.

    image_condition_type: how a model starts from a picture. With "token_replace" the clip's first
    latent frame is the picture's, and its tokens are modulated as those of a clean frame; with
    "latent_concat" the picture's latents and a mask are further channels of the input. None for a
    model that has a text only. Raises ValueError for values that no checkpoint has.
    """

    in_channels: int = 16
    out_channels: int | None = 16
    num_attention_heads: int = 24
    attention_head_dim: int = 128
    num_layers: int = 20
    num_single_layers: int = 40
    num_refiner_layers: int = 2
    mlp_ratio: float = 4.0
    patch_size: int = 2
    patch_size_t: int = 1
    qk_norm: str = "rms_norm"
    guidance_embeds: bool = True
    text_embed_dim: int = 4096
    pooled_projection_dim: int = 768
    rope_theta: float = 256.0
    rope_axes_dim: list[int] = field(default_factory=lambda: [16, 56, 56])
    image_condition_type: str | None = None

    def __post_init__(self):
        if self.qk_norm != "rms_norm":
            raise ValueError(f"a qk_norm of {self.qk_norm!r}, not 'rms_norm'")
        if self.image_condition_type not in (None, TOKEN_REPLACE, LATENT_CONCAT):
            raise ValueError(f"an image_condition_type of {self.image_condition_type!r}")
        if len(self.rope_axes_dim) != 3 or sum(self.rope_axes_dim) != self.attention_head_dim:
            raise ValueError(
                f"rope_axes_dim of {self.rope_axes_dim} for heads of {self.attention_head_dim}"
            )
        if self.replaces_tokens and self.patch_size_t != 1:
            raise ValueError(f"a patch_size_t of {self.patch_size_t} where a frame is replaced")

    @property
    def hidden_size(self) -> int:
        return self.num_attention_heads * self.attention_head_dim

    @property
    def mlp_size(self) -> int:
        return int(self.hidden_size * self.mlp_ratio)

    @property
    def precise(self) -> int:
        """Parameters that are never quantized, within a thirtieth: the matrices of text, times and
        output.
        """
        dim = self.hidden_size
        # A block of the refiner has 4 of attention, 8 of the feed-forward, 2 of the gates; there
        # are one or two a timestep's and a text's embedding, and 2 of the output's modulation.
        squares = 14 * self.num_refiner_layers + (7 if self.guidance_embeds else 6)
        return dim * (squares * dim + 2 * self.text_embed_dim)

    @property
    def replaces_tokens(self) -> bool:
        """Whether the tokens of the first latent frame are modulated as a clean frame's."""
        return self.image_condition_type == TOKEN_REPLACE
