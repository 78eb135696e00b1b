"""mlxvid's factored model against its PyTorch twin in scripts/training, with the same weights."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.models.factored.config import TextConfig, TransformerConfig, VAEConfig
from mlxvid.models.factored.text import FactoredTextEncoder
from mlxvid.models.factored.transformer import FactoredTransformer
from mlxvid.models.factored.vae import FactoredVAE
from mlxvid.weights.reading import fill

torch = pytest.importorskip("torch")

from scripts.training import dit_torch, vae_torch  # noqa: E402

VAE = dict(
    latent_channels=5,
    patch_size=4,
    patch_size_t=4,
    block_channels=[8, 12],
    encoder_layers=[1, 2],
    decoder_layers=[3, 1],
)
TEXT = dict(vocab_size=40, hidden_size=128, num_layers=2, attention_head_dim=64, max_length=16)
TRANSFORMER = dict(
    in_channels=5,
    patch_size=2,
    patch_size_t=1,
    hidden_size=128,
    num_layers=2,
    attention_head_dim=64,
    text_dim=24,
    rope_theta=100.0,
)
TOLERANCE = 1e-4


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def twins(network, twin):
    """Give both the same random weights, norms, biases and initial zeros included."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            scale = 0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
            offset = 1 if "norm" in name and name.endswith("weight") else 0
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * scale + offset)
    weights = {name: mx.array(value.numpy()) for name, value in twin.state_dict().items()}
    if hasattr(network, "sanitize"):
        weights = network.sanitize(weights)
    fill(network, weights, "the twin")
    return network, twin.eval()


def close(ours: mx.array, theirs) -> None:
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape and theirs.std() > 0.01
    assert np.abs(np.array(ours) - theirs).max() < TOLERANCE


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 8, 8), (9, 24, 40), (17, 16, 8)])
def test_vae(frames, height, width):
    ours, theirs = twins(FactoredVAE(VAEConfig(**VAE)), vae_torch.VAE(VAE))
    x = np.tanh(random(2, frames, height, width, 3))
    z = ours.encode(mx.array(x))
    with torch.no_grad():
        expected, _ = theirs.encode(torch.from_numpy(x))
        close(z, expected)
        close(mx.concatenate(list(ours.decode(z)), axis=1), theirs.decoder(expected))


def test_latents_are_scaled_by_mean_and_deviation():
    mean = random(5, seed=1).tolist()
    std = (np.abs(random(5, seed=2)) + 0.5).tolist()
    plain, _ = twins(FactoredVAE(VAEConfig(**VAE)), vae_torch.VAE(VAE))
    config = VAEConfig(**VAE, latents_mean=mean, latents_std=std)
    scaled, _ = twins(FactoredVAE(config), vae_torch.VAE(VAE))
    x = mx.array(np.tanh(random(1, 5, 16, 16, 3)))
    z = plain.encode(x)
    assert mx.allclose(scaled.encode(x), (z - mx.array(mean)) / mx.array(std), atol=1e-5)
    (once,) = plain.decode(z)
    (again,) = scaled.decode(scaled.encode(x))
    assert mx.allclose(once, again, atol=TOLERANCE)


def test_text_encoder():
    ours, theirs = twins(FactoredTextEncoder(TextConfig(**TEXT)), dit_torch.TextEncoder(TEXT))
    ids = np.random.default_rng(0).integers(0, 40, (2, 7))
    mask = np.arange(7) < np.array([[7], [3]])
    with torch.no_grad():
        expected = theirs(torch.from_numpy(ids), torch.from_numpy(mask))
    states = ours(mx.array(ids), mx.array(mask))
    close(states, expected)
    # Ids beyond the text's end don't change the states of its tokens.
    ids[1, 3:] = 0
    assert mx.allclose(ours(mx.array(ids), mx.array(mask))[1, :3], states[1, :3], atol=1e-6)


@pytest.mark.parametrize("mode", ["factored", "full", "spatial"])
@pytest.mark.parametrize(("grid", "patch_t"), [((3, 6, 10), 1), ((1, 2, 2), 1), ((4, 10, 4), 2)])
def test_transformer(mode, grid, patch_t):
    config = {**TRANSFORMER, "patch_size_t": patch_t}
    ours, theirs = twins(
        FactoredTransformer(TransformerConfig(**config)), dit_torch.Transformer(config)
    )
    x = random(2, *grid, 5, seed=1)
    text = random(2, 6, 24, seed=2)
    given = np.zeros((2, *grid, 1), np.float32)
    given[0, 0] = given[1, -1] = 1  # the first frame of one clip, the last of the other
    condition = np.concatenate([random(2, *grid, 5, seed=3) * given, given], axis=-1)
    sigma = np.array([0.9, 0.13], np.float32)
    mask = np.arange(6) < np.array([[6], [2]])
    inputs = (x, condition, sigma, text, mask)
    with torch.no_grad():
        expected = theirs(*map(torch.from_numpy, inputs), mode=mode)
    close(ours(*map(mx.array, inputs), mode=mode), expected)
