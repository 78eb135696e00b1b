"""LTX-Video's VAEs against Diffusers' AutoencoderKLLTXVideo."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from dataclasses import asdict
from math import prod

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.models.ltx.vae import AutoencoderKLLTXVideo
from mlxvid.models.ltx.vae_config import LTXVAEConfig

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from .reference import (  # noqa: E402
    CHANNELS,
    COUNTS,
    RELEASED,
    TINY,
    TheSameNoise,
    channels_first,
    channels_last,
    close,
    filled,
    random,
    randomised,
)

MEAN = random(CHANNELS, seed=1) * 0.5
STD = 0.5 + np.abs(random(CHANNELS, seed=2))
TIME = 0.05


def config_of(values: dict) -> LTXVAEConfig:
    """As config.json has it: lists for tuples; keys that we don't know are left out."""
    known = LTXVAEConfig.__dataclass_fields__
    made = {name: value for name, value in values.items() if name in known}
    return LTXVAEConfig(
        **{name: list(v) if isinstance(v, tuple) else v for name, v in made.items()}
    )


@pytest.fixture(scope="module", params=sorted(TINY))
def pair(request):
    """Our network and Diffusers' with the same random weights."""
    values = {**TINY[request.param], "latent_channels": CHANNELS}
    theirs = randomised(diffusers.AutoencoderKLLTXVideo(**values), 3)
    theirs.latents_mean.copy_(torch.from_numpy(MEAN))
    theirs.latents_std.copy_(torch.from_numpy(STD))
    config = config_of(values)
    assert config.generation == request.param
    return filled(AutoencoderKLLTXVideo(config), theirs), theirs


@torch.no_grad()
def their_latents(theirs, frames: np.ndarray) -> np.ndarray:
    z = channels_last(theirs.encode(channels_first(frames)).latent_dist.mode())
    return (z - MEAN) / STD


@torch.no_grad()
def their_frames(theirs, latents: np.ndarray, time: float = TIME) -> np.ndarray:
    z = channels_first(latents * STD + MEAN)
    times = torch.full((len(z),), time) if theirs.config.timestep_conditioning else None
    return channels_last(theirs.decode(z, times).sample)


def whole(parts) -> mx.array:
    return mx.concatenate(list(parts), axis=1)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 32, 64), (9, 96, 32), (25, 32, 96)])
def test_encode(pair, frames, height, width):
    x = np.tanh(random(2, frames, height, width, 3))
    close(pair[0].encode(mx.array(x)), their_latents(pair[1], x))


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 2, 1), (2, 1, 3), (3, 5, 7)])
def test_decode(pair, frames, height, width, monkeypatch):
    z = random(2, frames, height, width, CHANNELS)
    key = mx.random.key(4)
    monkeypatch.setattr(torch, "randn", TheSameNoise(key, height, width))
    expected = their_frames(pair[1], z)
    assert expected.shape == (2, 8 * (frames - 1) + 1, 32 * height, 32 * width, 3)
    close(whole(pair[0].decode(mx.array(z), TIME, key)), expected)


def test_blended_tiles(pair, monkeypatch):
    """Tiles of 3 positions every 2 are Diffusers' of 96 pixels every 64. It draws noise anew for
    each, so that here there is none.
    """
    ours, theirs = pair
    monkeypatch.setattr(torch, "randn", lambda shape, **_: torch.zeros(shape))
    theirs.enable_tiling(96, 96, tile_sample_stride_height=64, tile_sample_stride_width=64)
    try:
        x = np.tanh(random(1, 9, 128, 96, 3))
        close(ours.encode(mx.array(x), tile=3), their_latents(theirs, x))
        z = random(1, 2, 4, 3, CHANNELS)
        close(whole(ours.decode(mx.array(z), TIME, tile=3)), their_frames(theirs, z))
    finally:
        theirs.disable_tiling()


@pytest.mark.parametrize("generation", sorted(RELEASED))
def test_every_tensor_of_the_releases_has_its_place(generation):
    with torch.device("meta"):
        theirs = diffusers.AutoencoderKLLTXVideo(**RELEASED[generation])
    expected = {}
    for name, tensor in theirs.state_dict().items():
        shape = tuple(tensor.shape)
        if "per_channel_scale" in name:
            shape = shape[:1]
        elif len(shape) > 2:
            shape = (shape[0], *shape[2:], shape[1])
        expected[name] = shape
    network = AutoencoderKLLTXVideo(config_of(RELEASED[generation]))
    ours = {name: tuple(array.shape) for name, array in tree_flatten(network.parameters())}
    assert ours == expected
    values = sum(prod(shape) for shape in ours.values())
    assert (values, len(ours)) == COUNTS[generation]
    assert (network.s_factor, network.t_factor) == (32, 8)


def test_defaults_are_the_reference_s():
    theirs = diffusers.AutoencoderKLLTXVideo(
        latent_channels=4, block_out_channels=(4, 4, 4, 4), decoder_block_out_channels=(4, 4, 4, 4)
    ).config
    ours = asdict(config_of(dict(theirs)))
    defaults = asdict(LTXVAEConfig())
    small = {"latent_channels", "block_out_channels", "decoder_block_out_channels"}
    for name in ours.keys() - small:
        expected = theirs[name]
        assert defaults[name] == (list(expected) if isinstance(expected, tuple) else expected)
