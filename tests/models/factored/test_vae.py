"""The VAE in chunks and tiles equals one pass; causal convolutions, patches and tiles."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.layers.conv import CausalConv3d, Stream
from mlxvid.layers.patches import fold, unfold
from mlxvid.layers.tiling import spans, tiled
from mlxvid.models.factored.config import VAEConfig
from mlxvid.models.factored.vae import FactoredVAE


@pytest.fixture(scope="module")
def vae():
    mx.random.seed(3)
    sizes = dict(
        latent_channels=4,
        patch_size=2,
        patch_size_t=4,
        block_channels=[6, 8],
        encoder_layers=[2, 2],
        decoder_layers=[3, 2],
    )
    return FactoredVAE(VAEConfig(**sizes))


def video(*shape: int) -> mx.array:
    return mx.array(np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32))


def whole(parts) -> mx.array:
    return mx.concatenate(list(parts), axis=1)


def close(a: mx.array, b: mx.array) -> None:
    assert a.shape == b.shape and mx.abs(a - b).max().item() < 1e-5


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
@pytest.mark.parametrize("latent_frames", [1, 2, 6])
def test_chunked_equals_whole(vae, chunk, latent_frames):
    x = video(2, 4 * latent_frames - 3, 12, 8, 3)
    z = vae.encode(x, chunk=100)
    assert z.shape == (2, latent_frames, 3, 2, 4)
    close(vae.encode(x, chunk=chunk), z)
    close(whole(vae.decode(z, chunk=chunk)), whole(vae.decode(z, chunk=100)))


@pytest.mark.parametrize("tile", [3, 4, 9])
def test_tiled_equals_whole(vae, tile):
    x = video(1, 9, 36, 44, 3)
    z = vae.encode(x, tile=100)
    assert z.shape == (1, 3, 9, 11, 4)
    close(vae.encode(x, tile=tile, chunk=1), z)
    close(whole(vae.decode(z, tile=tile, chunk=2)), whole(vae.decode(z, tile=100, chunk=100)))


def test_decoding_gives_the_frames_in_order_and_as_many(vae):
    parts = list(vae.decode(video(1, 7, 2, 2, 4), chunk=3))
    assert [part.shape[1] for part in parts] == [9, 12, 4]
    assert parts[0].shape[2:] == (8, 8, 3) and parts[0].dtype == mx.float32


def test_it_is_causal(vae):
    """Later frames change nothing before them: a still is the first frame of a clip."""
    x = video(1, 9, 8, 8, 3)
    close(vae.encode(x)[:, :1], vae.encode(x[:, :1]))
    close(vae.encode(x)[:, :2], vae.encode(x[:, :5]))
    z = vae.encode(x)
    close(whole(vae.decode(z))[:, :5], whole(vae.decode(z[:, :2])))


def test_half_precision_weights_give_float32_results(vae):
    half = FactoredVAE(vae.config)
    half.update(vae.parameters())
    half.set_dtype(mx.bfloat16)
    z = half.encode(video(1, 5, 8, 8, 3))
    assert z.dtype == mx.float32 and next(half.decode(z)).dtype == mx.float32


@pytest.mark.parametrize("kernel", [(3, 1, 1), (1, 3, 3), (3, 3, 3), (2, 5, 1)])
def test_causal_convolution_equals_conv3d(kernel):
    conv = CausalConv3d(4, 6, kernel)
    conv.bias = video(6)
    x = video(2, 5, 7, 6, 4)
    padded = mx.concatenate([mx.repeat(x[:, :1], kernel[0] - 1, axis=1), x], axis=1)
    padding = (0, kernel[1] // 2, kernel[2] // 2)
    close(conv(x), mx.conv3d(padded, conv.weight, padding=padding) + conv.bias)


def test_a_stream_remembers_across_chunks_shorter_than_the_kernel():
    conv = CausalConv3d(2, 2, (4, 1, 1))
    stream = Stream()
    x = video(1, 6, 2, 2, 2)
    close(mx.concatenate([conv(x[:, i : i + 1], stream) for i in range(6)], axis=1), conv(x))


def test_folding_keeps_neighbours_together_and_unfolds():
    x = video(2, 4, 6, 8, 3)
    folded = fold(x, 2, 2)
    assert folded.shape == (2, 2, 3, 4, 24)
    assert mx.array_equal(folded[1, 1, 2, 3], x[1, 2:4, 4:6, 6:8].reshape(-1))
    assert mx.array_equal(unfold(folded, 2, 2), x)
    with pytest.raises(ValueError):
        fold(x[:, :3], 2, 2)


@pytest.mark.parametrize(("length", "tile", "halo"), [(1, 4, 2), (9, 4, 2), (8, 4, 0), (5, 1, 9)])
def test_spans_cover_everything_once(length, tile, halo):
    kept = []
    for read, keep in spans(length, tile, halo):
        assert 0 <= read.start and read.stop <= length
        kept += range(length)[read][keep]
    assert kept == list(range(length))


def test_tiles_are_numbered_in_a_fixed_order():
    numbers = []

    def doubled(part, number):
        numbers.append(number)
        return mx.repeat(mx.repeat(part, 2, 2), 2, 3)

    y = tiled(doubled, video(1, 1, 3, 5, 1), tile=2, halo=1, up=2)
    assert numbers == list(range(6)) and y.shape == (1, 1, 6, 10, 1)
