"""Sizes of Stable Diffusion's VAE, read from its config.json, and checks of such sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AutoencoderKLConfig:
    """The sizes of an AutoencoderKL, with the names and defaults of Diffusers.

    Its latents times `scaling_factor` are what a denoiser works on. Raises ValueError for sizes
    that can't be built.
    """

    in_channels: int = 3
    out_channels: int = 3
    latent_channels: int = 4
    block_out_channels: list[int] = field(default_factory=lambda: [64])
    layers_per_block: int = 1
    norm_num_groups: int = 32
    act_fn: str = "silu"
    scaling_factor: float = 0.18215
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True

    def __post_init__(self):
        check_sizes(
            self,
            "in_channels",
            "out_channels",
            "latent_channels",
            "layers_per_block",
            "norm_num_groups",
        )
        check_channels("block_out_channels", self.block_out_channels, self.norm_num_groups)
        if self.act_fn not in ("silu", "swish"):
            raise ValueError(f"act_fn {self.act_fn!r}, which must be silu")
        if not 0 < self.scaling_factor < math.inf:
            raise ValueError(f"scaling_factor {self.scaling_factor}, which must be above 0")


def check_sizes(config: object, *names: str) -> None:
    """Raise ValueError for the first of the fields `names` that is no whole number above 0."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} {value!r}, which must be a whole number above 0")


def check_channels(name: str, channels: list[int], groups: int) -> None:
    """Raise ValueError unless each of `channels`, one a level, can be normed in `groups`."""
    if not channels or not all(_is_multiple(count, groups) for count in channels):
        raise ValueError(
            f"{name} {channels!r}, which must be multiples of {groups}, the groups of their norms"
        )


def _is_multiple(value: object, of: int) -> bool:
    return isinstance(value, int) and value > 0 and value % of == 0
