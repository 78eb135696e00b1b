"""Wan 2.1's video VAE as released (Wan2.1_VAE.pth) -> Diffusers' AutoencoderKLWan.

The release numbers the blocks of all levels in one sequence; Diffusers does too in the encoder, but
by level in the decoder. Facts from wan/modules/vae.py of Wan-Video/Wan2.1 and Diffusers'
AutoencoderKLWan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.models.wan.vae_config import LATENTS_MEAN, LATENTS_STD
from mlxvid.weights.tensors import Tensor

from ..release import shape_of

MARKS = frozenset(
    {
        "encoder.conv1.weight",
        "encoder.downsamples.0.residual.0.gamma",
        "decoder.upsamples.0.residual.0.gamma",
        "conv2.weight",
    }
)
CHANNELS = 16
ENCODER = "encoder.downsamples."
DECODER = "decoder.upsamples."
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
    """The tensors by Diffusers' names; unknown ones keep their own."""
    decoder_blocks = _decoder_blocks(original)
    return {_name(name, decoder_blocks): tensor for name, tensor in original.items()}


def config(original: Mapping[str, Tensor]) -> dict[str, Any]:
    """Diffusers' config.json, from the tensors' shapes.

    Raises :class:`WeightsError` for another number of latent channels, such as Wan 2.2's.
    """
    channels = shape_of(original, "conv2.weight", 5)[0]
    base = shape_of(original, "encoder.conv1.weight", 5)[0]
    where = original["conv2.weight"].where
    if channels != CHANNELS:
        raise WeightsError(
            f"{where} has {channels} latent channels where Wan 2.1's VAE has {CHANNELS}; "
            "get the VAE of Wan 2.1."
        )
    levels = _levels(original, ENCODER)
    blocks = []
    for level in levels:
        blocks.append([n for n in level if not _is_resampler(original, ENCODER, n)])
    if not all(blocks):
        raise WeightsError(
            f"{where} belongs to a VAE with a level that has no blocks; download the model again."
        )
    widths = []
    for level in blocks:
        widths.append(shape_of(original, f"{ENCODER}{level[-1]}.residual.6.weight", 5)[0])
    halves_time = [f"{ENCODER}{level[-1]}.time_conv.weight" in original for level in levels[:-1]]
    return {
        "_class_name": "AutoencoderKLWan",
        "base_dim": base,
        "z_dim": channels,
        "dim_mult": [width // base for width in widths],
        "num_res_blocks": len(blocks[0]),
        "attn_scales": [],
        "temperal_downsample": halves_time,
        "dropout": 0.0,
        "latents_mean": list(LATENTS_MEAN),
        "latents_std": list(LATENTS_STD),
    }


def _name(name: str, decoder_blocks: Mapping[int, str]) -> str:
    outer, _, end = name.rpartition(".")
    if outer in _OUTER:
        return f"{_OUTER[outer]}.{end}"
    match = _NAME.fullmatch(name)
    if match is None:
        return name
    side, place, number, rest = match.groups()
    if number is None:
        block = _ENDS[place]
    elif side == "encoder":
        block = f"down_blocks.{number}"
    else:
        block = decoder_blocks[int(number)]
    layer, _, end = rest.rpartition(".")
    layer = _BLOCK.get(layer, layer)
    return ".".join(part for part in (side, block, layer, end) if part)


def _levels(original: Mapping[str, Tensor], prefix: str) -> list[list[int]]:
    """The numbers of the blocks below `prefix` by level.

    Each level ends in its resampler, but for the last, which has none.
    """
    numbers = set()
    for name in original:
        rest = name.removeprefix(prefix)
        if rest != name and rest[0].isdigit():
            numbers.add(int(rest.split(".")[0]))
    levels: list[list[int]] = [[]]
    for number in sorted(numbers):
        levels[-1].append(number)
        if _is_resampler(original, prefix, number):
            levels.append([])
    return levels


def _is_resampler(original: Mapping[str, Tensor], prefix: str, number: int) -> bool:
    return f"{prefix}{number}.resample.1.weight" in original


def _decoder_blocks(original: Mapping[str, Tensor]) -> dict[int, str]:
    """Diffusers' name of each of the decoder's blocks, by its number in the release."""
    names = {}
    for level, numbers in enumerate(_levels(original, DECODER)):
        for position, number in enumerate(numbers):
            if _is_resampler(original, DECODER, number):
                block = "upsamplers.0"
            else:
                block = f"resnets.{position}"
            names[number] = f"up_blocks.{level}.{block}"
    return names
