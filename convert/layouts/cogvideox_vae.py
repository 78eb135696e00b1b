"""CogVideoX's VAE as released (3d-vae.pt) -> Diffusers' AutoencoderKLCogVideoX.

The release counts the decoder's levels from the pixels. Facts from sat/vae_modules/cp_enc_dec.py of
zai-org/CogVideo and Diffusers' class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlxvid.weights.tensors import Tensor

from ..release import block_count, shape_of

MARKS = frozenset(
    {
        "encoder.down.0.block.0.norm1.weight",
        "encoder.down.0.block.0.conv1.conv.weight",
        "decoder.up.0.block.0.norm1.conv_y.conv.weight",
    }
)
# Of Diffusers' transformers for 2B, and for all others.
SCALE_2B = 1.15258426
SCALE = 0.7
# What it was trained against, and nothing that it needs.
_TRAINING = "loss."
_GROUPS = 32  # of the norms, which no tensor shows
_LEVEL = re.compile(r"(encoder|decoder)\.(?:down|up)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"(encoder|decoder)\.mid\.block_([12])\.(.+)")
_LAYERS = {"block": "resnets", "downsample": "downsamplers.0", "upsample": "upsamplers.0"}


def tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by Diffusers' names; unknown ones keep their own."""
    levels = block_count(original, "decoder.up.")
    renamed = {}
    for name, tensor in original.items():
        if not name.startswith(_TRAINING):
            renamed[_name(name, levels)] = tensor
    return renamed


def _name(name: str, levels: int) -> str:
    name = name.replace(".nin_shortcut.", ".conv_shortcut.")
    middle = _MIDDLE.fullmatch(name)
    if middle:
        return f"{middle[1]}.mid_block.resnets.{int(middle[2]) - 1}.{middle[3]}"
    level = _LEVEL.fullmatch(name)
    if level is None:
        return name
    side, number, rest = level.groups()
    layer, _, rest = rest.partition(".")
    layer = _LAYERS.get(layer, layer)
    if side == "encoder":
        return f"encoder.down_blocks.{number}.{layer}.{rest}"
    return f"decoder.up_blocks.{levels - 1 - int(number)}.{layer}.{rest}"


def config(renamed: Mapping[str, Tensor], transformer: Mapping[str, Any]) -> dict[str, Any]:
    """Diffusers' config.json, from the shapes of :func:`tensors`.

    transformer: its config, which tells the scale: all releases have the same VAE, and 2B another
    scale than the others.
    """
    levels = block_count(renamed, "encoder.down_blocks.")
    widths = []
    for level in range(levels):
        last = f"encoder.down_blocks.{level}.resnets.0.conv2.conv.weight"
        widths.append(shape_of(renamed, last, 5)[0])
    sines = not transformer["use_rotary_positional_embeddings"]
    return {
        "_class_name": "AutoencoderKLCogVideoX",
        "in_channels": shape_of(renamed, "encoder.conv_in.conv.weight", 5)[1],
        "out_channels": shape_of(renamed, "decoder.conv_out.conv.weight", 5)[0],
        "down_block_types": ["CogVideoXDownBlock3D"] * levels,
        "up_block_types": ["CogVideoXUpBlock3D"] * levels,
        "block_out_channels": widths,
        "latent_channels": shape_of(renamed, "decoder.conv_in.conv.weight", 5)[1],
        "layers_per_block": block_count(renamed, "encoder.down_blocks.0.resnets."),
        "act_fn": "silu",
        "norm_eps": 1e-6,
        "norm_num_groups": _GROUPS,
        "temporal_compression_ratio": 4,
        "sample_height": 480,
        "sample_width": 720,
        "scaling_factor": SCALE_2B if sines else SCALE,
        "shift_factor": None,
        "latents_mean": None,
        "latents_std": None,
        "force_upcast": True,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "invert_scale_latents": transformer["patch_size_t"] is not None,
    }
