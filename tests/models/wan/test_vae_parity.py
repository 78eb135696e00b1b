"""Wan 2.1's VAE against Diffusers' AutoencoderKLWan."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from dataclasses import asdict

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.models.wan.vae import AutoencoderKLWan
from mlxvid.models.wan.vae_config import WanVAEConfig
from mlxvid.weights.reading import fill

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

TOLERANCE = 1e-4
SCALE = dict(latents_mean=[0.3, -0.7, 0.1, 1.2], latents_std=[1.5, 0.6, 2.0, 0.9])
MEAN = np.array(SCALE["latents_mean"], np.float32)
STD = np.array(SCALE["latents_std"], np.float32)
TINY = {
    1: dict(base_dim=8, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1, **SCALE),
    2: dict(
        base_dim=8, decoder_base_dim=12, z_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=2, **SCALE
    ),
}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module", params=sorted(TINY))
def pair(request):
    """Our network and Diffusers' with the same random weights, norms and biases included."""
    theirs = diffusers.AutoencoderKLWan(**TINY[request.param]).eval()
    generator = torch.Generator().manual_seed(request.param)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("gamma"):
                parameter.copy_(1 + 0.3 * noise)
            elif parameter.ndim > 1:
                parameter.copy_(noise * parameter[0].numel() ** -0.5)
            else:
                parameter.copy_(0.1 * noise)
    ours = AutoencoderKLWan(WanVAEConfig(**TINY[request.param]))
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), "the reference")
    return ours, theirs


def channels_first(x: np.ndarray):
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


@torch.no_grad()
def their_latents(theirs, frames: np.ndarray) -> np.ndarray:
    z = np.moveaxis(theirs.encode(channels_first(frames)).latent_dist.mode().numpy(), 1, -1)
    return (z - MEAN) / STD


@torch.no_grad()
def their_frames(theirs, latents: np.ndarray) -> np.ndarray:
    z = latents * STD + MEAN
    return np.moveaxis(theirs.decode(channels_first(z)).sample.numpy(), 1, -1)


def close(ours: mx.array, theirs: np.ndarray) -> None:
    assert ours.dtype == mx.float32 and ours.shape == theirs.shape and theirs.std() > 0.01
    assert np.abs(np.array(ours) - theirs).max() < TOLERANCE


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 16, 16), (5, 24, 40), (13, 40, 8)])
def test_encode(pair, frames, height, width):
    x = np.tanh(random(2, frames, height, width, 3))
    close(pair[0].encode(mx.array(x)), their_latents(pair[1], x))


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 2, 2), (2, 3, 5), (4, 5, 1)])
def test_decode(pair, frames, height, width):
    z = random(2, frames, height, width, 4) * 0.5
    expected = their_frames(pair[1], z)
    close(mx.concatenate(list(pair[0].decode(mx.array(z))), axis=1), expected)
    if frames > 1:  # some values are clamped, and most are not
        assert 0 < np.mean(np.abs(expected) == 1) < 0.5


@pytest.mark.parametrize(("height", "width"), [(11, 6), (3, 9)])
def test_blended_tiles(pair, height, width):
    """Tiles of 4 positions every 3 are Diffusers' of 32 pixels every 24.

    At the edges some are smaller than the overlap.
    """
    ours, theirs = pair
    theirs.enable_tiling(32, 32, 24, 24)
    try:
        x = np.tanh(random(1, 5, 8 * height, 8 * width, 3))
        close(ours.encode(mx.array(x), tile=4, stride=3), their_latents(theirs, x))
        z = random(1, 2, height, width, 4) * 0.5
        parts = list(ours.decode(mx.array(z), tile=4, stride=3))
        close(mx.concatenate(parts, axis=1), their_frames(theirs, z))
    finally:
        theirs.disable_tiling()


def test_every_tensor_of_the_release_has_its_place():
    with torch.device("meta"):
        theirs = diffusers.AutoencoderKLWan().state_dict()
    expected = {}
    for name, tensor in theirs.items():
        shape = tuple(tensor.shape)
        if name.endswith("gamma"):
            shape = shape[:1]
        elif len(shape) > 2:
            shape = (shape[0], *shape[2:], shape[1])
        expected[name] = shape
    network = AutoencoderKLWan(WanVAEConfig())
    ours = {name: tuple(array.shape) for name, array in tree_flatten(network.parameters())}
    assert ours == expected and len(ours) == 194


def test_defaults_are_the_reference_s():
    theirs = diffusers.AutoencoderKLWan(base_dim=8, z_dim=16).config
    ours = asdict(WanVAEConfig(base_dim=8))
    assert ours == {name: theirs[name] for name in ours}
