"""A tiny decoder from its file, which says by its tensors what it is: there is no config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx

from mlxvid.errors import WeightsError
from mlxvid.layers.tiny_decoder import TinyDecoder, TinyDecoderConfig
from mlxvid.model.geometry import Geometry
from mlxvid.model.tiny import REPOSITORY

from .reading import fill, read_files, sanitized
from .tensors import Tensor

# LightX2V's, with the same tensors: they take latents at the VAE's own scale, and would make
# wrong colours of ours.
_OTHER_SCALE = "lighttae"


def read_tiny_decoder(files: Sequence[Path], geometry: Geometry) -> TinyDecoder:
    """The decoder in `files`, in memory and in float32, for latents of that geometry.

    Raises :class:`WeightsError` for files that hold anything else.
    """
    file = files[0]
    if _OTHER_SCALE in file.name.lower():
        raise WeightsError(
            f"{file} takes latents at another scale than those of {REPOSITORY}; use one of these."
        )
    weights = {
        name: weight.read() if isinstance(weight, Tensor) else weight
        for name, weight in read_files(files).items()
    }
    try:
        config = TinyDecoderConfig.of(weights)
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        raise WeightsError(
            f"{file} holds no tiny decoder of the usual size; use one of {REPOSITORY}."
        ) from None
    made = (config.channels, config.t_factor, config.s_factor)
    if made != (geometry.channels, geometry.t_factor, geometry.s_factor):
        raise WeightsError(
            f"{file} is a tiny decoder for the latents of another model: it takes {made[0]} "
            f"channels where this one's have {geometry.channels}, and makes {made[1]} frames and "
            f"{made[2]} pixels a side of one where this one's stand for {geometry.t_factor} and "
            f"{geometry.s_factor}."
        )
    network = TinyDecoder(config)
    fill(network, sanitized(network, weights, file), file)
    network.set_dtype(mx.float32)  # half precision costs Winograd's convolutions much on Metal
    mx.eval(network.parameters())
    return network
