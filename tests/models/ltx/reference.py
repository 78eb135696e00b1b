"""Tiny VAEs of LTX-Video with random weights, and the released sizes, for Diffusers' classes."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import torch

from mlxvid.models.ltx.vae_noise import Noise
from mlxvid.weights.reading import fill

PLAIN = dict(
    block_out_channels=(128, 256, 512, 512),
    layers_per_block=(4, 3, 3, 3, 4),
    spatio_temporal_scaling=(True, True, True, False),
)
TIMED = dict(
    decoder_block_out_channels=(256, 512, 1024),
    decoder_spatio_temporal_scaling=(True, True, True),
    upsample_residual=(True, True, True),
    upsample_factor=(2, 2, 2),
    timestep_conditioning=True,
)
RESIDUAL = dict(
    down_block_types=("LTXVideo095DownBlock3D",) * 4,
    downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
    spatio_temporal_scaling=(True, True, True, True),
    spatial_compression_ratio=32,
    temporal_compression_ratio=8,
)
# By generation: the released sizes of Diffusers' conversion script.
RELEASED = {
    "A": PLAIN,
    "B": PLAIN
    | TIMED
    | dict(
        decoder_layers_per_block=(5, 6, 7, 8),
        decoder_inject_noise=(True, True, True, False),
    ),
    "C": TIMED
    | RESIDUAL
    | dict(
        block_out_channels=(128, 256, 512, 1024, 2048),
        layers_per_block=(4, 6, 6, 2, 2),
        decoder_layers_per_block=(5, 5, 5, 5),
        decoder_inject_noise=(False, False, False, False),
    ),
}
# Values and tensors, with the latents' mean and deviation.
COUNTS = {"A": (419_193_905, 190), "B": (934_976_690, 294), "C": (1_246_913_778, 226)}
CHANNELS = 6
TINY = {
    "A": dict(
        block_out_channels=(8, 12, 16, 16),
        decoder_block_out_channels=(6, 10, 14, 14),
        layers_per_block=(2, 1, 1, 1, 2),
        decoder_layers_per_block=(1, 2, 1, 1, 2),
    ),
    "B": TIMED
    | dict(
        block_out_channels=(8, 12, 16, 16),
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 2, 1, 2),
        decoder_inject_noise=(True, True, True, False),
    ),
    "C": TIMED
    | RESIDUAL
    | dict(
        block_out_channels=(8, 16, 32, 64, 32),
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 2, 1, 1, 1),
        decoder_layers_per_block=(2, 1, 2, 1),
        decoder_inject_noise=(False, False, False, False),
    ),
}


def randomised(module: torch.nn.Module, seed: int, scale: float = 1.0) -> torch.nn.Module:
    """Every parameter drawn anew, so that none is zero or one: norms, biases and tables too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 0:  # the multiplier of times
                continue
            fan = parameter[0].numel() if parameter.ndim > 1 else 1
            spread = scale * fan**-0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            if parameter.ndim == 1 and "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
    return module.eval()


def filled(ours, theirs: torch.nn.Module):
    """Our network with the weights of Diffusers'."""
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), "the reference")
    return ours


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def channels_first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def channels_last(x: torch.Tensor) -> np.ndarray:
    return np.moveaxis(x.numpy(), 1, -1)


def close(ours: mx.array, theirs: np.ndarray, tolerance: float = 1e-4) -> None:
    assert ours.dtype == mx.float32 and ours.shape == theirs.shape and theirs.std() > 0.01
    assert np.abs(np.array(ours) - theirs).max() < tolerance


class TheSameNoise:
    """What stands for torch.randn: the noise that our decoder draws, in the order of its calls."""

    def __init__(self, key: mx.array, height: int, width: int):
        self.noise = Noise(key, height, width)
        self.block = None

    def __call__(self, shape, **_) -> torch.Tensor:
        number = 0 if self.block is None else 1
        block = self.block or self.noise.of_block()
        self.block = block if number == 0 else None
        drawn = block(number, mx.zeros((1, 1, *shape, 1)))
        return torch.from_numpy(np.array(drawn[..., 0]))
