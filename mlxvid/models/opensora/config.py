"""Sizes of Open-Sora's transformer, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class STDiT3Config:
    """The reference's STDiT3Config; the defaults are STDiT3-XL/2.

    Fields for training and for the reference's own kernels are left out. Raises ValueError for
    values that no checkpoint has.
    """

    # The side in pixels of a square picture whose position embedding is not stretched.
    input_sq_size: int = 512
    in_channels: int = 4
    patch_size: list[int] = field(default_factory=lambda: [1, 2, 2])
    hidden_size: int = 1152
    depth: int = 28
    num_heads: int = 16
    mlp_ratio: float = 4.0
    pred_sigma: bool = True
    caption_channels: int = 4096
    model_max_length: int = 300
    qk_norm: bool = True
    skip_y_embedder: bool = False

    def __post_init__(self):
        patch = self.patch_size
        if len(patch) != 3 or patch[0] != 1 or patch[1] != patch[2]:
            raise ValueError(f"a patch of {patch} is not one square of one frame")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"{self.hidden_size} channels are not {self.num_heads} heads")
        if self.skip_y_embedder:
            raise ValueError("a skip_y_embedder that is true")

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads

    @property
    def out_channels(self) -> int:
        """The velocity's channels and, where pred_sigma is set, as many unused ones."""
        return self.in_channels * (2 if self.pred_sigma else 1)
