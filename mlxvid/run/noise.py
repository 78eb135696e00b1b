"""The latents that a run begins with."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from mlxvid.errors import SettingError
from mlxvid.model.base import Model
from mlxvid.model.request import Request


def noise_of(model: Model, request: Request, latents: Any) -> mx.array:
    """Latents [1, F, H, W, C] to begin with: the given ones, or float32 noise that depends on
    seed and shape alone.
    """
    frames, height, width = model.latent_shape(request)
    channels = model.card.geometry.channels
    shape = (1, channels, frames, height, width)
    if latents is None:
        key = mx.random.key(request.seed)
        noise = mx.random.normal(shape, dtype=mx.float32, key=key)
        return noise.transpose(0, 2, 3, 4, 1)
    noise = mx.array(latents)
    layout = "[1, C, F, H, W]"
    axes = (0, 2, 3, 4, 1)
    if model.frames_first:
        layout = "[1, F, C, H, W]"
        shape = (1, frames, channels, height, width)
        axes = (0, 1, 3, 4, 2)
    if noise.shape != shape:
        raise SettingError(
            f"The `latents` are {tuple(noise.shape)} where this clip's are {shape} ({layout})."
        )
    return noise.astype(mx.float32).transpose(axes)
