"""CogVideoX's VAE without a reference: seams, memory, scales, types, and refusals."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError, WeightsError
from mlxvid.layers import frame_parts
from mlxvid.model.folder import from_json
from mlxvid.models.cogvideox import vae as cogvideox_vae
from mlxvid.models.cogvideox.vae import AutoencoderKLCogVideoX
from mlxvid.models.cogvideox.vae_config import CogVideoXVAEConfig

TINY = dict(
    block_out_channels=[8, 8, 12, 12],
    latent_channels=4,
    layers_per_block=1,
    norm_num_groups=4,
    scaling_factor=0.7,
)


@pytest.fixture(scope="module")
def vae():
    mx.random.seed(5)
    return AutoencoderKLCogVideoX(CogVideoXVAEConfig(**TINY))


def video(*shape: int) -> mx.array:
    return mx.array(np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32))


def whole(parts) -> mx.array:
    return mx.concatenate(list(parts), axis=1)


def test_frames_come_by_batches(vae):
    for latents, frames in ((1, [1]), (2, [8]), (3, [9]), (4, [8, 8]), (7, [9, 8, 8])):
        z = video(1, latents, 2, 3, 4)
        assert [part.shape[1] for part in vae.decode(z)] == frames
        tiled = [part.shape[1:] for part in vae.decode(z, tile=(1, 2))]
        assert tiled == [(count, 16, 24, 3) for count in frames]


def test_the_batches_are_part_of_the_model(vae):
    """The first nine frames don't depend on what follows; in a batch of their own, two latent
    frames of it make others.
    """
    z = video(1, 5, 3, 2, 4)
    first = next(vae.decode(z))
    assert mx.array_equal(first, whole(vae.decode(z[:, :3])))
    assert mx.abs(first[:, :5] - whole(vae.decode(z[:, :2]))[:, :5]).max() > 1e-3


def test_seams_are_blended(vae, monkeypatch):
    """Tiles have norms and edges of their own, so they differ from one pass; but the difference has
    no large step where one begins, as it has where they don't overlap.
    """
    rows = mx.arange(22)[:, None, None]
    columns = mx.arange(18)[:, None]
    z = mx.sin(rows / 5 + columns / 7 + mx.arange(4))[None, None]
    once = np.array(whole(vae.decode(z)))

    def difference(tile: tuple[int, int]) -> np.ndarray:
        return np.array(whole(vae.decode(z, tile))) - once

    blended = difference((12, 10))  # every 10 and every 8 positions
    monkeypatch.setattr(cogvideox_vae, "OVERLAP", (0, 0))
    cut = difference((10, 8))
    assert blended.std() < once.std()
    for axis, stride in ((2, 80), (3, 64)):
        assert steps(blended, axis)[stride - 1 :: stride].max() < 2 * steps(blended, axis).mean()
        assert steps(cut, axis)[stride - 1 :: stride].max() > 3 * steps(cut, axis).mean()


def steps(x: np.ndarray, axis: int) -> np.ndarray:
    """The mean difference of each row or column from the next."""
    return np.abs(np.diff(x, axis=axis)).mean(axis=tuple({0, 1, 2, 3, 4} - {axis}))


def peak(vae: AutoencoderKLCogVideoX, latent_frames: int, side: int, tile=None) -> int:
    """The most bytes held while a clip is decoded."""
    z = video(1, latent_frames, side, side, 4)
    mx.clear_cache()
    mx.reset_peak_memory()
    for _ in vae.decode(z, tile):
        pass
    return mx.get_peak_memory()


def test_memory_does_not_grow_with_the_clip(vae):
    assert peak(vae, 16, 8) < 1.2 * peak(vae, 4, 8)


def test_memory_is_bounded_within_a_batch_and_by_tiles(vae, monkeypatch):
    at_once = peak(vae, 3, 12)
    monkeypatch.setattr(frame_parts, "POSITIONS", 1)
    by_frames = peak(vae, 3, 12)
    assert by_frames < 0.9 * at_once
    assert peak(vae, 3, 12, (6, 6)) < 0.8 * by_frames


def test_samples_and_scales(vae):
    """A given picture of CogVideoX 1.5 is divided by what others are multiplied by."""
    x = video(2, 5, 16, 24, 3)
    mean = vae.encode(x)
    sample = vae.sample(x, mx.random.key(1))
    assert sample.shape == mean.shape and mx.abs(sample - mean).max() > 0.1
    assert mx.array_equal(sample, vae.sample(x, mx.random.key(1)))
    assert not mx.array_equal(sample, vae.sample(x, mx.random.key(2)))
    inverted = CogVideoXVAEConfig(**TINY, invert_scale_latents=True)
    assert (vae.config.picture_scale, inverted.picture_scale) == (0.7, 1 / 0.7)
    close(vae.encode(x, scale=inverted.picture_scale) * 0.49, mean)


def close(a: mx.array, b: mx.array) -> None:
    assert a.shape == b.shape and mx.abs(a - b).max() < 1e-5


def test_half_precision_weights_give_float32_results_near_the_others(vae):
    half = AutoencoderKLCogVideoX(vae.config)
    half.update(vae.parameters())
    half.set_dtype(mx.bfloat16)
    x = video(1, 5, 16, 16, 3)
    z = vae.encode(x)
    for ours, expected in ((half.encode(x), z), (whole(half.decode(z)), whole(vae.decode(z)))):
        assert ours.dtype == mx.float32
        assert mx.abs(ours - expected).mean() < 0.1 * mx.std(expected)


def test_sizes_that_no_latents_have_are_refused(vae):
    with pytest.raises(SettingError) as error:
        vae.encode(mx.zeros((1, 5, 20, 16, 3)))
    for fact in ("16x20", "`width`", "`height`", "divide by 8"):
        assert fact in str(error.value)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"use_post_quant_conv": True}, "quant_conv"),
        ({"temporal_compression_ratio": 3}, "temporal_compression_ratio 3"),
        ({"temporal_compression_ratio": 16}, "temporal_compression_ratio 16"),
        ({"act_fn": "relu"}, "act_fn 'relu'"),
        ({"norm_eps": 1e-5}, "norm_eps 1e-05"),
        ({"block_out_channels": [128, 100]}, "multiples of 32"),
        ({"scaling_factor": 0}, "scaling_factor 0"),
        ({"sample_height": 16}, "sample_height 16"),
        ({"latent_channels": "16"}, "latent_channels"),
    ],
)
def test_other_configs_are_refused(values, why):
    with pytest.raises(WeightsError) as error:
        from_json(CogVideoXVAEConfig, values, Path("vae/config.json"))
    assert str(error.value).startswith("vae/config.json ") and why in str(error.value)
