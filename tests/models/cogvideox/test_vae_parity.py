"""CogVideoX's VAE against Diffusers' AutoencoderKLCogVideoX."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from dataclasses import asdict

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.layers import frame_parts
from mlxvid.models.cogvideox.vae import AutoencoderKLCogVideoX
from mlxvid.models.cogvideox.vae_config import CogVideoXVAEConfig
from mlxvid.weights.reading import fill
from tests.models.wan.tiny import randomised

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

TOLERANCE = 1e-4
SCALE = 0.7
TILE = (6, 5)  # latent positions
# Tiles of 6 x 5 latent positions, of which the overlaps are whole ones. Levels' channels differ.
TINY = dict(
    block_out_channels=[8, 12, 12, 16],
    latent_channels=6,
    layers_per_block=1,
    norm_num_groups=4,
    sample_height=96,
    sample_width=80,
    scaling_factor=SCALE,
)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def pair():
    """Our network and Diffusers' with the same random weights, norms and biases included."""
    theirs = randomised(diffusers.AutoencoderKLCogVideoX(**TINY), 1)
    ours = AutoencoderKLCogVideoX(CogVideoXVAEConfig(**TINY))
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), "the reference")
    return ours, theirs


def channels_first(x: np.ndarray):
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


@torch.no_grad()
def their_moments(theirs, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    posterior = theirs.encode(channels_first(frames)).latent_dist
    return np.moveaxis(posterior.mean.numpy(), 1, -1), np.moveaxis(posterior.std.numpy(), 1, -1)


@torch.no_grad()
def their_frames(theirs, latents: np.ndarray) -> np.ndarray:
    return np.moveaxis(theirs.decode(channels_first(latents / SCALE)).sample.numpy(), 1, -1)


def close(ours: mx.array, theirs: np.ndarray) -> None:
    assert ours.dtype == mx.float32 and ours.shape == theirs.shape and theirs.std() > 0.01
    assert np.abs(np.array(ours) - theirs).max() < TOLERANCE


@pytest.mark.parametrize(
    ("frames", "height", "width"),
    [(1, 24, 40), (2, 16, 24), (5, 40, 8), (8, 24, 24), (9, 24, 40), (13, 8, 24), (17, 24, 8)],
)
def test_encode(pair, frames, height, width):
    x = np.tanh(random(2, frames, height, width, 3))
    mean, std = their_moments(pair[1], x)
    close(pair[0].encode(mx.array(x)), mean * SCALE)
    noise = random(*mean.shape, seed=1)
    close(pair[0].encode(mx.array(x), mx.array(noise)), (mean + std * noise) * SCALE)
    assert pair[0].latent_frames(frames) == mean.shape[1]


@pytest.mark.parametrize(
    ("frames", "height", "width"),
    [(1, 3, 5), (2, 3, 4), (3, 5, 3), (4, 1, 3), (5, 3, 2), (13, 3, 1)],
)
def test_decode(pair, frames, height, width):
    z = random(2, frames, height, width, 6) * 0.5
    expected = their_frames(pair[1], z)
    parts = list(pair[0].decode(mx.array(z)))
    close(mx.concatenate(parts, axis=1), expected)
    assert len(parts) == max(1, frames // 2)


@pytest.mark.parametrize("positions", [1, 1500])
def test_a_few_frames_at_a_time(pair, monkeypatch, positions):
    """Within a batch: the norms' statistics stay those of all its frames."""
    monkeypatch.setattr(frame_parts, "POSITIONS", positions)
    x = np.tanh(random(1, 9, 24, 16, 3))
    close(pair[0].encode(mx.array(x)), their_moments(pair[1], x)[0] * SCALE)
    z = random(1, 5, 3, 2, 6) * 0.5
    close(mx.concatenate(list(pair[0].decode(mx.array(z))), axis=1), their_frames(pair[1], z))


@pytest.mark.parametrize(
    ("frames", "height", "width"), [(5, 7, 6), (3, 6, 9), (1, 13, 3), (2, 5, 9)]
)
def test_tiles(pair, frames, height, width):
    """At the edges some are smaller than the overlap."""
    ours, theirs = pair
    theirs.enable_tiling()
    try:
        z = random(1, frames, height, width, 6) * 0.5
        parts = list(ours.decode(mx.array(z), tile=TILE))
        assert [part.shape[1] for part in parts] == [p.shape[1] for p in ours.decode(mx.array(z))]
        close(mx.concatenate(parts, axis=1), their_frames(theirs, z))
        x = np.tanh(random(1, 4 * frames - 3, 8 * height, 8 * width, 3))
        close(ours.encode(mx.array(x), tile=TILE), their_moments(theirs, x)[0] * SCALE)
    finally:
        theirs.disable_tiling()


def test_every_tensor_of_the_release_has_its_place():
    with torch.device("meta"):
        theirs = diffusers.AutoencoderKLCogVideoX().state_dict()
    expected = {}
    for name, tensor in theirs.items():
        shape = tuple(tensor.shape)
        expected[name] = (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else shape
    network = AutoencoderKLCogVideoX(CogVideoXVAEConfig())
    ours = {name: tuple(array.shape) for name, array in tree_flatten(network.parameters())}
    assert ours == expected and len(ours) == 436
    assert sum(array.size for _, array in tree_flatten(network.parameters())) == 215_583_907


def test_defaults_are_the_reference_s():
    with torch.device("meta"):
        theirs = diffusers.AutoencoderKLCogVideoX()
    ours = CogVideoXVAEConfig()
    values = asdict(ours)
    values["block_out_channels"] = tuple(values["block_out_channels"])
    assert values == {name: theirs.config[name] for name in values}
    assert ours.tile == (theirs.tile_latent_min_height, theirs.tile_latent_min_width)
