"""LTX-Video's VAE as released -> Diffusers' AutoencoderKLLTXVideo.

The release numbers all blocks of a side in one sequence; Diffusers has them by level. There are
three generations: A of 0.9.0, B of 0.9.1, C of 0.9.5 and later. Facts from ltx_video/models of
Lightricks/LTX-Video, and Diffusers' own conversions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlxvid.models.ltx.recipes import Generation
from mlxvid.weights.tensors import Tensor

from ..release import block_count, shape_of

MARKS = frozenset(
    {
        "encoder.conv_in.conv.weight",
        "encoder.down_blocks.0.res_blocks.0.conv1.conv.weight",
        "decoder.up_blocks.0.res_blocks.0.conv1.conv.weight",
        "per_channel_statistics.mean-of-means",
    }
)
# A residual downsampler, which the third generation alone has, and the decoder's time.
RESIDUAL = "encoder.down_blocks.1.conv.conv.weight"
TIMES = "decoder.last_time_embedder.timestep_embedder.linear_1.weight"

_ENCODER_AB = (
    "down_blocks.0",
    "down_blocks.0.downsamplers.0",
    "down_blocks.0.conv_out",
    "down_blocks.1",
    "down_blocks.1.downsamplers.0",
    "down_blocks.1.conv_out",
    "down_blocks.2",
    "down_blocks.2.downsamplers.0",
    "down_blocks.3",
    "mid_block",
)
_ENCODER_C = (
    "down_blocks.0",
    "down_blocks.0.downsamplers.0",
    "down_blocks.1",
    "down_blocks.1.downsamplers.0",
    "down_blocks.2",
    "down_blocks.2.downsamplers.0",
    "down_blocks.3",
    "down_blocks.3.downsamplers.0",
    "mid_block",
)
_DECODER_A = (
    "mid_block",
    "up_blocks.0",
    "up_blocks.1.upsamplers.0",
    "up_blocks.1",
    "up_blocks.2.conv_in",
    "up_blocks.2.upsamplers.0",
    "up_blocks.2",
    "up_blocks.3.conv_in",
    "up_blocks.3.upsamplers.0",
    "up_blocks.3",
)
_DECODER_BC = (
    "mid_block",
    "up_blocks.0.upsamplers.0",
    "up_blocks.0",
    "up_blocks.1.upsamplers.0",
    "up_blocks.1",
    "up_blocks.2.upsamplers.0",
    "up_blocks.2",
)
# Diffusers' name of each block, by its number in the release.
BLOCKS: dict[Generation, dict[str, Sequence[str]]] = {
    "A": {"encoder.down_blocks": _ENCODER_AB, "decoder.up_blocks": _DECODER_A},
    "B": {"encoder.down_blocks": _ENCODER_AB, "decoder.up_blocks": _DECODER_BC},
    "C": {"encoder.down_blocks": _ENCODER_C, "decoder.up_blocks": _DECODER_BC},
}
_LAYERS = {
    "res_blocks": "resnets",
    "conv_shortcut": "conv_shortcut.conv",
    "norm3.norm": "norm3",
    "last_time_embedder": "time_embedder",
    "last_scale_shift_table": "scale_shift_table",
}
_LAYER = re.compile(rf"(?<![^.])({'|'.join(map(re.escape, _LAYERS))})(?![^.])")
_STATISTICS = "per_channel_statistics."
_KEPT_STATISTICS = {"mean-of-means": "latents_mean", "std-of-means": "latents_std"}
_BLOCK = re.compile(r"(encoder\.down_blocks|decoder\.up_blocks)\.(\d+)\.(.+)")
PATCH = 4


def generation(original: Mapping[str, Tensor]) -> Generation:
    """The generation, told by the tensors' names."""
    if RESIDUAL in original:
        return "C"
    return "B" if TIMES in original else "A"


def tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by Diffusers' names; unknown ones keep their own.

    Of the statistics of the latents, those that nothing reads are left out.
    """
    blocks = BLOCKS[generation(original)]
    renamed = {}
    for name, tensor in original.items():
        if name.startswith(_STATISTICS):
            kept = _KEPT_STATISTICS.get(name.removeprefix(_STATISTICS))
            if kept is not None:
                renamed[kept] = tensor
        else:
            renamed[_name(name, blocks)] = tensor
    return renamed


def _name(name: str, blocks: Mapping[str, Sequence[str]]) -> str:
    match = _BLOCK.fullmatch(name)
    if match is None:
        return _LAYER.sub(lambda found: _LAYERS[found[1]], name)
    side, number, rest = match.groups()
    if int(number) >= len(blocks[side]):
        return name
    rest = _LAYER.sub(lambda found: _LAYERS[found[1]], rest)
    return f"{side.partition('.')[0]}.{blocks[side][int(number)]}.{rest}"


def config(original: Mapping[str, Tensor]) -> dict[str, Any]:
    """Diffusers' config.json, from the generation and the tensors' shapes."""
    renamed = tensors(original)
    kind = generation(original)
    down = _levels(renamed, "encoder.down_blocks.")
    up = _levels(renamed, "decoder.up_blocks.")
    widths = [_width(renamed, block) for block in down]
    factor = 1 if kind == "A" else 2
    # The decoder's lists begin at the pixels, though it runs the other way.
    up_widths = [factor * _width(renamed, block) for block in reversed(up)]
    up_blocks = [*reversed(up), "decoder.mid_block"]
    noise = [f"{block}.resnets.0.per_channel_scale1" in renamed for block in up_blocks]
    middle = "encoder.mid_block"
    is_residual = kind == "C"
    scaled = [True] * len(down) if is_residual else [True] * (len(down) - 1) + [False]
    up_scaled = [True] * len(up) if factor == 2 else [True] * (len(up) - 1) + [False]
    block_type = "LTXVideo095DownBlock3D" if is_residual else "LTXVideoDownBlock3D"
    types = ["spatial", "temporal", "spatiotemporal", "spatiotemporal"]
    return {
        "_class_name": "AutoencoderKLLTXVideo",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": shape_of(renamed, "decoder.conv_in.conv.weight", 5)[1],
        "block_out_channels": [*widths, *([_width(renamed, middle)] if is_residual else [])],
        "down_block_types": [block_type] * len(down),
        "decoder_block_out_channels": up_widths,
        "layers_per_block": [_layers(renamed, block) for block in (*down, middle)],
        "decoder_layers_per_block": [_layers(renamed, block) for block in up_blocks],
        "spatio_temporal_scaling": scaled,
        "decoder_spatio_temporal_scaling": up_scaled,
        "decoder_inject_noise": noise,
        "downsample_type": types[: len(down)] if is_residual else ["conv"] * len(down),
        "upsample_residual": [factor == 2] * len(up),
        "upsample_factor": [factor] * len(up),
        "timestep_conditioning": kind != "A",
        "patch_size": PATCH,
        "patch_size_t": 1,
        "resnet_norm_eps": 1e-06,
        "scaling_factor": 1.0,
        "encoder_causal": True,
        "decoder_causal": False,
        "spatial_compression_ratio": 32,
        "temporal_compression_ratio": 8,
    }


def _levels(renamed: Mapping[str, Tensor], prefix: str) -> list[str]:
    return [f"{prefix}{number}" for number in range(block_count(renamed, prefix))]


def _layers(renamed: Mapping[str, Tensor], block: str) -> int:
    return block_count(renamed, f"{block}.resnets.")


def _width(renamed: Mapping[str, Tensor], block: str) -> int:
    return shape_of(renamed, f"{block}.resnets.0.conv1.conv.weight", 5)[0]
