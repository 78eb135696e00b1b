"""Why VAEs stay in float32 on Metal: their 3x3 convolutions by Winograd's method, emulated."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from collections.abc import Callable, Iterator

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_map

from mlxvid import models
from mlxvid.layers import cores
from mlxvid.layers.autoencoder_kl import AutoencoderKL
from mlxvid.layers.autoencoder_kl_config import AutoencoderKLConfig
from mlxvid.models.factored.config import VAEConfig
from mlxvid.models.factored.vae import FactoredVAE
from mlxvid.models.latte.vae import AutoencoderKLTemporalDecoder
from mlxvid.models.latte.vae_config import TemporalDecoderConfig
from mlxvid.models.opensora.vae import OpenSoraVAE
from mlxvid.models.opensora.vae_config import OpenSoraVAEConfig
from mlxvid.models.wan.vae import AutoencoderKLWan
from mlxvid.models.wan.vae_config import WanVAEConfig
from tests.layers.winograd import A, B, Emulated, G, tf32

Decoder = Callable[[mx.array], Iterator[mx.array]]

WIDE = dict(block_out_channels=[128, 128], layers_per_block=1)


def mini() -> tuple[nn.Module, Decoder, int]:
    vae = FactoredVAE(VAEConfig())
    return vae, vae.decode, 16


def wan() -> tuple[nn.Module, Decoder, int]:
    sizes = dict(base_dim=64, dim_mult=[1, 2, 2, 2], num_res_blocks=1)
    vae = AutoencoderKLWan(WanVAEConfig(**sizes))
    return vae, vae.decode, 16


def latte() -> tuple[nn.Module, Decoder, int]:
    vae = AutoencoderKL(AutoencoderKLConfig(**WIDE))
    return vae, vae.decode, 4


def latte_temporal() -> tuple[nn.Module, Decoder, int]:
    vae = AutoencoderKLTemporalDecoder(TemporalDecoderConfig(**WIDE))
    return vae, vae.decode, 4


def opensora() -> tuple[nn.Module, Decoder, int]:
    sizes = dict(filters=128, num_res_blocks=1, channel_multipliers=[1, 1, 1, 1])
    vae = OpenSoraVAE(OpenSoraVAEConfig(**WIDE, **sizes))
    return vae, lambda latents: vae.decode(latents, 4), 4


VAES = {
    "mini": mini,
    "wan": wan,
    "latte": latte,
    "latte-temporal": latte_temporal,
    "opensora": opensora,
}
# Relative RMS errors of frames, by the type that values are stored in. In half precision what
# Winograd's transforms amplify is what rounding left.
EXACT = 1e-4
HALF = {"float16": 1e-3, "bfloat16": 1e-2}


def drawn(weight: mx.array) -> mx.array:
    """A matrix or a kernel with random values; a vector as it is."""
    if weight.ndim < 2:
        return weight
    fan = weight.size // weight.shape[0]
    return mx.random.normal(weight.shape) * fan**-0.5


def frames_of(decode: Decoder, latents: mx.array) -> np.ndarray:
    return np.concatenate([np.array(part.astype(mx.float32)) for part in decode(latents)], axis=1)


def test_the_transforms_are_the_paper_s():
    """A convolution of one row, with the tile's numbers as the sum says."""
    row = np.random.default_rng(0).standard_normal(8).astype(np.float32)
    taps = np.array([0.5, -1.0, 0.25], np.float32)
    expected = np.convolve(row, taps[::-1], mode="valid")
    assert np.allclose(A @ ((G @ taps) * (B @ row)), expected, atol=1e-5)
    assert B[0].tolist() == [-1, 0, 5.25, 0, -5.25, 0, 1, 0]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "opensora" else name for name in VAES],
)
def test_decoders_by_winograd(name, monkeypatch):
    mx.random.seed(1)
    vae, decode, channels = VAES[name]()
    vae.update(tree_map(drawn, vae.parameters()))
    latents = mx.random.normal((1, 1, 4, 4, channels), key=mx.random.key(3))
    direct = frames_of(decode, latents)

    def error(**how) -> float:
        emulated = Emulated(**how)
        monkeypatch.setattr(mx, "conv2d", emulated)
        monkeypatch.setattr(cores, "computes", lambda: False)
        frames = frames_of(decode, latents)
        monkeypatch.undo()
        assert emulated.calls
        return float(np.sqrt(((frames - direct) ** 2).mean()) / direct.std())

    exact = error()
    assert exact < EXACT
    # What MLX_ENABLE_TF32 is turned off for.
    assert error(factor=tf32) > 10 * max(exact, 1e-5)
    for dtype, least in HALF.items():
        assert error(dtype=dtype) > least


@pytest.mark.parametrize("card", models.cards(), ids=lambda card: card.name)
@pytest.mark.parametrize("asked", [None, "bfloat16", "float16"])
def test_every_vae_stays_in_float32_whatever_is_asked_for(card, asked):
    decoders = [part for part in card.family.parts.values() if part.stage == "decode"]
    assert decoders
    for part in decoders:
        assert part.used_dtype(asked, half_is_slow=False) == "float32"
