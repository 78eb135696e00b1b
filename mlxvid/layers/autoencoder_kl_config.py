"""The sizes of Stable Diffusion's VAE, read from its config.json, and how sizes are checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AutoencoderKLConfig:
    """The sizes of an AutoencoderKL, with Diffusers' names and defaults; `scaling_factor` times its
    latents is what a denoiser sees.
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
            raise ValueError(f"act_fn {self.act_fn!r}, which is silu in all that are known")
        if not 0 < self.scaling_factor < math.inf:
            raise ValueError(f"scaling_factor {self.scaling_factor}, which must be above 0")


def check_sizes(config: object, *names: str) -> None:
    """Raise ValueError for the first of the config's fields `names` that is no whole number above
    0.
    """
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} {value!r}, which must be a whole number above 0")


def check_channels(name: str, channels: list[int], groups: int) -> None:
    """Raise ValueError unless each of `channels`, one a level, can be normed in `groups`."""
    if not channels or not all(isinstance(c, int) and c > 0 and c % groups == 0 for c in channels):
        raise ValueError(
            f"{name} {channels!r}, which must be multiples of {groups}, the groups of their norms"
        )
