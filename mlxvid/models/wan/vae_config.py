"""Sizes of Wan 2.1's video VAE, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass, field

# Mean and deviation of each latent channel over Wan's training clips: the reference's defaults.
# fmt: off
LATENTS_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)
LATENTS_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)
# fmt: on


@dataclass(frozen=True)
class WanVAEConfig:
    """Keys and defaults of Diffusers' ``AutoencoderKLWan``.

    Level i has `dim_mult[i] * base_dim` channels. A level has half the width and height of the one
    before it, and half the frames where `temperal_downsample` (the reference's spelling) is true.
    Raises ValueError for a VAE of another structure, as that of Wan 2.2, and for lists whose
    lengths disagree.
    """

    base_dim: int = 96
    decoder_base_dim: int | None = None  # None: base_dim
    z_dim: int = 16
    dim_mult: list[int] = field(default_factory=lambda: [1, 2, 4, 4])
    num_res_blocks: int = 2  # a level of the encoder; the decoder has one more
    # Empty in every release: attention is on the coarsest level only.
    attn_scales: list[float] = field(default_factory=list)
    temperal_downsample: list[bool] = field(default_factory=lambda: [False, True, True])
    latents_mean: list[float] = field(default_factory=lambda: list(LATENTS_MEAN))
    latents_std: list[float] = field(default_factory=lambda: list(LATENTS_STD))
    is_residual: bool = False
    in_channels: int = 3
    out_channels: int = 3
    patch_size: int | None = None

    def __post_init__(self):
        if self.is_residual or self.patch_size not in (None, 1):
            raise ValueError(
                "its VAE has the residual or patched levels of Wan 2.2, "
                "and mlxvid knows that of Wan 2.1"
            )
        if self.attn_scales:
            raise ValueError(
                "its VAE has attention on other levels than the coarsest, "
                "which no release of Wan 2.1 has"
            )
        steps = len(self.temperal_downsample)
        levels = len(self.dim_mult)
        if steps != levels - 1:
            raise ValueError(f"{steps} temperal_downsample between {levels} levels")
        for scale in (self.latents_mean, self.latents_std):
            if len(scale) != self.z_dim:
                raise ValueError(
                    f"{len(scale)} latents_mean or latents_std for {self.z_dim} channels"
                )

    @property
    def t_factor(self) -> int:
        """Frames per latent frame, except the first, which is one frame."""
        return 2 ** sum(self.temperal_downsample)

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return 2 ** len(self.temperal_downsample)
