"""Sizes of LTX-Video's transformer, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass

# What every released transformer has, by Diffusers' names.
_FORM = {
    "patch_size": 1,
    "patch_size_t": 1,
    "activation_fn": "gelu-approximate",
    "qk_norm": "rms_norm_across_heads",
    "norm_elementwise_affine": False,
    "attention_bias": True,
    "attention_out_bias": True,
}


@dataclass(frozen=True)
class LTXTransformerConfig:
    """The diffusion transformer, with the defaults of Diffusers' LTXVideoTransformer3DModel (2B).

    causal_temporal_positioning: whether the first latent frame counts as one frame in the rotary
    positions; None where the config doesn't say, and the VAE's generation does. Raises ValueError
    for values that no checkpoint has.
    """

    in_channels: int = 128
    out_channels: int | None = 128
    patch_size: int = 1
    patch_size_t: int = 1
    num_attention_heads: int = 32
    attention_head_dim: int = 64
    cross_attention_dim: int = 2048
    num_layers: int = 28
    activation_fn: str = "gelu-approximate"
    qk_norm: str = "rms_norm_across_heads"
    norm_elementwise_affine: bool = False
    norm_eps: float = 1e-6
    caption_channels: int = 4096
    attention_bias: bool = True
    attention_out_bias: bool = True
    causal_temporal_positioning: bool | None = None

    def __post_init__(self):
        for name, expected in _FORM.items():
            value = getattr(self, name)
            if value != expected:
                raise ValueError(f"a {name} of {value!r}, not {expected!r}")
        if self.attention_head_dim % 2:
            raise ValueError(f"heads of {self.attention_head_dim} channels, which are not pairs")
        if self.hidden_size < 12:
            raise ValueError(f"{self.hidden_size} channels, too few for positions on three axes")
        if self.cross_attention_dim != self.hidden_size:
            raise ValueError(
                f"a cross_attention_dim of {self.cross_attention_dim} for {self.hidden_size} "
                "channels"
            )

    @property
    def hidden_size(self) -> int:
        return self.num_attention_heads * self.attention_head_dim
