"""The sizes of CogVideoX's transformer, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass

# What every checkpoint has, and the network is written for.
FIXED = {
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "activation_fn": "gelu-approximate",
    "timestep_activation_fn": "silu",
    "norm_elementwise_affine": True,
}


@dataclass(frozen=True)
class CogVideoXConfig:
    """The config of Diffusers' CogVideoXTransformer3DModel, with its defaults (2B).

    A model that starts from a picture has twice the `in_channels`: noise, then the picture's
    latents. `patch_size_t` is that of 1.5, whose patches hold several latent frames. Raises
    ValueError for values that no checkpoint has.
    """

    num_attention_heads: int = 30
    attention_head_dim: int = 64
    in_channels: int = 16
    out_channels: int | None = 16  # None: in_channels
    flip_sin_to_cos: bool = True
    freq_shift: int = 0
    time_embed_dim: int = 512
    ofs_embed_dim: int | None = None
    text_embed_dim: int = 4096
    num_layers: int = 30
    attention_bias: bool = True
    sample_width: int = 90  # latent positions on a side of the training clips
    sample_height: int = 60
    sample_frames: int = 49  # pixel frames
    patch_size: int = 2
    patch_size_t: int | None = None
    temporal_compression_ratio: int = 4
    max_text_seq_length: int = 226
    activation_fn: str = "gelu-approximate"
    timestep_activation_fn: str = "silu"
    norm_elementwise_affine: bool = True
    norm_eps: float = 1e-5
    spatial_interpolation_scale: float = 1.875
    temporal_interpolation_scale: float = 1.0
    use_rotary_positional_embeddings: bool = False
    use_learned_positional_embeddings: bool = False
    patch_bias: bool = True

    def __post_init__(self):
        for name, value in FIXED.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not {value!r}")
        if self.use_learned_positional_embeddings and not self.use_rotary_positional_embeddings:
            raise ValueError("learned positions without rotary ones")
        if self.ofs_embed_dim not in (None, self.time_embed_dim):
            raise ValueError(f"ofs_embed_dim is {self.ofs_embed_dim}, not the time's")
        if self.attention_head_dim % 16 or self.hidden_size % 16:
            raise ValueError(f"heads of {self.attention_head_dim} channels")

    @property
    def hidden_size(self) -> int:
        return self.num_attention_heads * self.attention_head_dim

    @property
    def outputs(self) -> int:
        """Channels of the latents that are denoised."""
        return self.out_channels or self.in_channels

    @property
    def patch(self) -> tuple[int, int, int]:
        """Latent positions a token in time, height and width."""
        return self.patch_size_t or 1, self.patch_size, self.patch_size

    @property
    def base_grid(self) -> tuple[int, int]:
        """(height, width) in tokens of the training clips."""
        return self.sample_height // self.patch_size, self.sample_width // self.patch_size

    @property
    def base_frames(self) -> int:
        """Latent frames of the training clips."""
        return (self.sample_frames - 1) // self.temporal_compression_ratio + 1

    @property
    def starts_from_picture(self) -> bool:
        return self.in_channels == 2 * self.outputs

    @property
    def modulation(self) -> int:
        """Parameters by which the blocks' norms depend on the timestep."""
        return 2 * self.num_layers * 6 * self.hidden_size * (self.time_embed_dim + 1)
