"""HunyuanVideo's VAE as released: Diffusers' tensors, and a config of Tencent's own class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlxvid.weights.tensors import Tensor

from ..release import block_count, shape_of

MARKS = frozenset(
    {
        "encoder.down_blocks.0.resnets.0.conv1.conv.weight",
        "encoder.mid_block.attentions.0.to_q.weight",
        "decoder.up_blocks.0.resnets.0.conv1.conv.weight",
        "quant_conv.weight",
        "post_quant_conv.weight",
    }
)
LEVELS = 4


def config(tensors: Mapping[str, Tensor], own: Mapping[str, Any]) -> dict[str, Any]:
    """Diffusers' config.json. own: the release's, where there is one: the groups of the norms and
    the latents' scale don't show.
    """
    widths = []
    for level in range(LEVELS):
        name = f"encoder.down_blocks.{level}.resnets.0.conv1.conv.weight"
        widths.append(shape_of(tensors, name, 5)[0])
    return {
        "_class_name": "AutoencoderKLHunyuanVideo",
        "in_channels": shape_of(tensors, "encoder.conv_in.conv.weight", 5)[1],
        "out_channels": shape_of(tensors, "decoder.conv_out.conv.weight", 5)[0],
        "latent_channels": shape_of(tensors, "post_quant_conv.weight", 5)[0],
        "down_block_types": ["HunyuanVideoDownBlock3D"] * LEVELS,
        "up_block_types": ["HunyuanVideoUpBlock3D"] * LEVELS,
        "block_out_channels": widths,
        "layers_per_block": block_count(tensors, "encoder.down_blocks.0.resnets."),
        "act_fn": "silu",
        "norm_num_groups": own.get("norm_num_groups", 32),
        "scaling_factor": own.get("scaling_factor", 0.476986),
        "spatial_compression_ratio": 8,
        "temporal_compression_ratio": 4,
        "mid_block_add_attention": True,
    }
