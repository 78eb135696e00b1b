"""Wan 2.1's video VAE as released (Wan2.1_VAE.pth) -> Diffusers' AutoencoderKLWan.

The release numbers the blocks of all levels in a row; Diffusers does too in the encoder, and by
level in the decoder. Facts from wan/modules/vae.py of Wan-Video/Wan2.1 and Diffusers'
AutoencoderKLWan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.models.wan.vae_config import LATENTS_MEAN, LATENTS_STD
from mlxvid.weights.tensors import Tensor

from .layouts import sides

MARKS = frozenset(
    {
        "encoder.conv1.weight",
        "encoder.downsamples.0.residual.0.gamma",
        "decoder.upsamples.0.residual.0.gamma",
        "conv2.weight",
    }
)
CHANNELS = 16
_ENDS = {
    "conv1": "conv_in",
    "middle.0": "mid_block.resnets.0",
    "middle.1": "mid_block.attentions.0",
    "middle.2": "mid_block.resnets.1",
    "head.0": "norm_out",
    "head.2": "conv_out",
}
_BLOCK = {
    "residual.0": "norm1",
    "residual.2": "conv1",
    "residual.3": "norm2",
    "residual.6": "conv2",
    "shortcut": "conv_shortcut",
}
_OUTER = {"conv1": "quant_conv", "conv2": "post_quant_conv"}
_NAME = re.compile(
    r"(encoder|decoder)\.(conv1|middle\.[012]|head\.[02]|(?:down|up)samples\.(\d+))\.(.+)"
)


def tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by Diffusers' names; one that no VAE of Wan 2.1 has keeps its own."""
    places = _decoder_places(original)
    return {_name(name, places): tensor for name, tensor in original.items()}


def config(original: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config.json, from the tensors' shapes. Raises :class:`WeightsError` for another number of
    latent channels, as Wan 2.2 has.
    """
    channels, base = (
        sides(original, "conv2.weight", 5)[0],
        sides(original, "encoder.conv1.weight", 5)[0],
    )
    if channels != CHANNELS:
        raise WeightsError(
            f"{original['conv2.weight'].where} makes {channels} latent channels where Wan 2.1's VAE has {CHANNELS}; get the VAE of Wan 2.1."
        )
    prefix = "encoder.downsamples."
    levels = _levels(original, prefix)
    blocks = [
        [number for number in level if not _resamples(original, prefix, number)] for level in levels
    ]
    if not all(blocks):
        raise WeightsError(
            f"{original['conv2.weight'].where} belongs to a VAE with a level that has no blocks; download the model again."
        )
    widths = [sides(original, f"{prefix}{level[-1]}.residual.6.weight", 5)[0] for level in blocks]
    return {
        "_class_name": "AutoencoderKLWan",
        "base_dim": base,
        "z_dim": channels,
        "dim_mult": [width // base for width in widths],
        "num_res_blocks": len(blocks[0]),
        "attn_scales": [],
        "temperal_downsample": [
            f"{prefix}{level[-1]}.time_conv.weight" in original for level in levels[:-1]
        ],
        "dropout": 0.0,
        "latents_mean": list(LATENTS_MEAN),
        "latents_std": list(LATENTS_STD),
    }


def _name(name: str, places: Mapping[int, str]) -> str:
    outer, _, end = name.rpartition(".")
    if outer in _OUTER:
        return f"{_OUTER[outer]}.{end}"
    match = _NAME.fullmatch(name)
    if not match:
        return name
    side, place, number, rest = match.groups()
    if number is None:
        block = _ENDS[place]
    elif side == "encoder":
        block = f"down_blocks.{number}"
    else:
        block = places[int(number)]
    layer, _, end = rest.rpartition(".")
    return ".".join(part for part in (side, block, _BLOCK.get(layer, layer), end) if part)


def _levels(original: Mapping[str, Tensor], prefix: str) -> list[list[int]]:
    """The numbers of the blocks level by level: a level ends in its resampling, and the last has
    none.
    """
    numbers = sorted(
        {
            int(rest.split(".")[0])
            for name in original
            if (rest := name.removeprefix(prefix)) != name and rest[0].isdigit()
        }
    )
    levels: list[list[int]] = [[]]
    for number in numbers:
        levels[-1].append(number)
        if _resamples(original, prefix, number):
            levels.append([])
    return levels


def _resamples(original: Mapping[str, Tensor], prefix: str, number: int) -> bool:
    return f"{prefix}{number}.resample.1.weight" in original


def _decoder_places(original: Mapping[str, Tensor]) -> dict[int, str]:
    """Diffusers' place of each of the decoder's blocks by its number."""
    prefix, places = "decoder.upsamples.", {}
    for level, numbers in enumerate(_levels(original, prefix)):
        for position, number in enumerate(numbers):
            kind = "upsamplers.0" if _resamples(original, prefix, number) else f"resnets.{position}"
            places[number] = f"up_blocks.{level}.{kind}"
    return places
