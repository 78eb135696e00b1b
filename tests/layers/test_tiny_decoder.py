"""The tiny decoder against a statement of the reference's in PyTorch: the whole clip at once."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.layers.tiny_decoder import TinyDecoder, TinyDecoderConfig
from mlxvid.weights.reading import fill

from .tiny_decoders import tensors, theirs

pytest.importorskip("torch")

TOLERANCE = 1e-4
SIZES = {
    "as released, narrow": TinyDecoderConfig(4, (16, 12, 8, 6)),
    "pixels in patches": TinyDecoderConfig(5, (8, 6, 10, 4), patch=2),
    "grows in every level": TinyDecoderConfig(3, (6, 8, 4, 6), (2, 2, 2)),
}


def decoder(weights: dict[str, np.ndarray]) -> TinyDecoder:
    arrays = {name: mx.array(weight) for name, weight in weights.items()}
    network = TinyDecoder(TinyDecoderConfig.of(arrays))
    fill(network, network.sanitize(arrays), "the test")
    return network


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 5, 3), (4, 3, 7)])
def test_it_is_the_whole_clip_at_once(name, frames, height, width):
    config = SIZES[name]
    weights = tensors(config)
    shape = (2, frames, height, width, config.channels)
    latents = 2 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    skipped = config.t_factor - 1
    expected = theirs(weights, config, latents, enlarge=3)[:, skipped:]
    parts = list(decoder(weights).decode(mx.array(latents), skipped))
    assert {part.shape[1] for part in parts} == {1}
    ours = mx.concatenate(parts, axis=1)
    assert ours.dtype == mx.float32 and ours.shape == expected.shape
    assert expected.shape[2:4] == (height * config.s_factor, width * config.s_factor)
    assert expected.std() > 0.1 and 0 < expected.mean() < 1
    assert np.abs((np.array(ours) + 1) / 2 - expected).max() < TOLERANCE


@pytest.mark.parametrize("enlargements", [0, 1, 2])
def test_smaller_pictures_are_the_references_too(enlargements):
    config = SIZES["as released, narrow"]
    weights = tensors(config)
    latents = np.random.default_rng(0).standard_normal((1, 3, 4, 5, 4)).astype(np.float32)
    expected = theirs(weights, config, latents, enlargements)
    ours = list(decoder(weights).decode(mx.array(latents), enlargements=enlargements))
    ours = (np.array(mx.concatenate(ours, axis=1)) + 1) / 2
    assert ours.shape == expected.shape == (1, 12, 4 * 2**enlargements, 5 * 2**enlargements, 3)
    assert np.abs(ours - expected).max() < TOLERANCE


@pytest.mark.parametrize("name", SIZES)
def test_its_sizes_are_those_of_its_weights(name):
    config = SIZES[name]
    weights = {key: mx.array(weight) for key, weight in tensors(config).items()}
    assert TinyDecoderConfig.of(weights) == config


def test_the_released_sizes():
    """Names, shapes and count of the published file: a safetensors file with these and an encoder
    of 1,470,928 has, in half precision, exactly the 22,642,902 bytes that it has.
    """
    config = TinyDecoderConfig()
    weights = dict(tree_flatten(TinyDecoder(config).parameters()))
    expected = {name: np.moveaxis(w, 1, -1).shape if w.ndim > 1 else w.shape
                for name, w in tensors(config).items()}  # fmt: skip
    assert {name: weight.shape for name, weight in weights.items()} == expected
    assert sum(weight.size for weight in weights.values()) == 9_844_611
    assert (config.t_factor, config.s_factor) == (4, 8)


def test_an_encoder_is_left_out():
    assert TinyDecoder.sanitize({"encoder.0.weight": mx.zeros((1, 1, 3, 3))}) == {}


def test_memory_does_not_grow_with_the_clip():
    config = SIZES["as released, narrow"]
    network = decoder(tensors(config))
    peaks = []
    for frames in (3, 9):
        latents = mx.random.normal((1, frames, 24, 24, config.channels))
        mx.eval(latents)
        mx.clear_cache()
        mx.reset_peak_memory()
        for _ in network.decode(latents):
            pass
        peaks.append(mx.get_peak_memory())
    assert peaks[1] < 1.3 * peaks[0]  # over three times the length
