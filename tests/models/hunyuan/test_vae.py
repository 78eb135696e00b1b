"""HunyuanVideo's VAE against Diffusers'."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import dataclasses

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import AutoencoderKLHunyuanVideo as Reference  # noqa: E402

from mlxvid import SettingError  # noqa: E402
from mlxvid.layers import frame_parts, processor  # noqa: E402
from mlxvid.models.hunyuan.vae import AutoencoderKLHunyuanVideo  # noqa: E402
from mlxvid.models.hunyuan.vae_config import HunyuanVideoVAEConfig  # noqa: E402
from tests.models.wan.tiny import randomised  # noqa: E402

from .twins import (  # noqa: E402
    channels_first,
    channels_last,
    close,
    filled,
    random,
    same_tensors,
)

SCALE = 0.7
TINY = dict(
    latent_channels=3,
    block_out_channels=[8, 12, 16, 16],
    layers_per_block=1,
    norm_num_groups=4,
    scaling_factor=SCALE,
)
# Tiles of 4 latent positions, one every 3.
TILED = dict(
    tile_sample_min_height=32,
    tile_sample_min_width=32,
    tile_sample_stride_height=24,
    tile_sample_stride_width=24,
)


def twins(**others) -> tuple[AutoencoderKLHunyuanVideo, Reference]:
    config = {**TINY, **others}
    theirs = randomised(Reference(**config), 3)
    return filled(AutoencoderKLHunyuanVideo(HunyuanVideoVAEConfig(**config)), theirs), theirs


@pytest.fixture(scope="module")
def pair():
    return twins()


@torch.no_grad()
def their_frames(theirs: Reference, z: np.ndarray, tiled: bool) -> np.ndarray:
    theirs.enable_tiling(**TILED)
    theirs.use_tiling = tiled
    return channels_last(theirs.decode(channels_first(z / SCALE)).sample)


@torch.no_grad()
def their_latents(theirs: Reference, frames: np.ndarray, tiled: bool) -> np.ndarray:
    theirs.enable_tiling(**TILED)
    theirs.use_tiling = tiled
    return channels_last(theirs.encode(channels_first(frames)).latent_dist.mode()) * SCALE


def whole(parts) -> mx.array:
    return mx.concatenate(list(parts), axis=1)


@pytest.fixture(params=["whole layers", "a frame at a time"])
def pieces(request, monkeypatch):
    if request.param == "a frame at a time":
        monkeypatch.setattr(frame_parts, "POSITIONS", 1)
        monkeypatch.setattr(processor, "PART", 20)
        monkeypatch.setattr(processor, "QUERIES", 1)


@pytest.mark.parametrize("size", [(1, 3, 5), (2, 2, 3), (4, 3, 1)])
def test_decode(pair, pieces, size):
    z = random(2, *size, 3)
    close(whole(pair[0].decode(mx.array(z))), their_frames(pair[1], z, tiled=False))


@pytest.mark.parametrize("frames", [5, 6, 7, 8, 9])
def test_longer_clips_are_decoded_in_tiles_in_time(pair, frames):
    z = random(1, frames, 2, 3, 3)
    parts = list(pair[0].decode(mx.array(z)))
    assert [part.shape[1] for part in parts][:1] == [13]
    close(whole(parts), their_frames(pair[1], z, tiled=False))


@pytest.mark.parametrize("size", [(1, 5, 4), (3, 4, 9), (6, 8, 5)])
def test_decode_in_tiles(pair, size):
    z = random(1, *size, 3)
    expected = their_frames(pair[1], z, tiled=True)
    close(whole(pair[0].decode(mx.array(z), tile=4)), expected)
    assert np.abs(expected - their_frames(pair[1], z, tiled=False)).max() > 0.01


@pytest.mark.parametrize("size", [(1, 24, 40), (5, 16, 24), (13, 24, 8)])
def test_encode(pair, pieces, size):
    frames = np.tanh(random(2, *size, 3))
    close(pair[0].encode(mx.array(frames)), their_latents(pair[1], frames, tiled=False))


@pytest.mark.parametrize("frames", [17, 21, 25, 29])
def test_longer_clips_are_encoded_in_tiles_in_time(pair, frames):
    x = np.tanh(random(1, frames, 16, 24, 3))
    close(pair[0].encode(mx.array(x)), their_latents(pair[1], x, tiled=False))


@pytest.mark.parametrize("size", [(1, 40, 32), (5, 32, 72), (21, 40, 48)])
def test_encode_in_tiles(pair, size):
    x = np.tanh(random(1, *size, 3))
    close(pair[0].encode(mx.array(x), tile=4), their_latents(pair[1], x, tiled=True))


def test_without_attention():
    ours, theirs = twins(mid_block_add_attention=False, layers_per_block=2)
    z = random(1, 2, 2, 3, 3)
    close(whole(ours.decode(mx.array(z))), their_frames(theirs, z, tiled=False))


def test_tiles_are_the_reference_s_by_default():
    with torch.device("meta"):
        theirs = Reference()
    assert (theirs.tile_sample_min_height, theirs.tile_sample_stride_height) == (256, 192)
    assert (theirs.tile_sample_min_num_frames, theirs.tile_sample_stride_num_frames) == (16, 12)
    assert theirs.use_framewise_decoding and theirs.use_framewise_encoding
    seen = []

    class Seen(AutoencoderKLHunyuanVideo):
        def _pixels(self, z, number):
            seen.append(z.shape[1:4])
            return mx.zeros((1, 4 * z.shape[1] - 3, 8 * z.shape[2], 8 * z.shape[3], 3))

    vae = Seen(HunyuanVideoVAEConfig(**TINY))
    assert whole(vae.decode(mx.zeros((1, 7, 40, 32, 3)))).shape == (1, 25, 320, 256, 3)
    sides = [(32, 32), (32, 8), (16, 32), (16, 8)]
    assert seen == [(5, *side) for side in sides] + [(4, *side) for side in sides]


def test_every_tensor_of_the_release_has_its_place():
    with torch.device("meta"):
        theirs = Reference()
    ours = AutoencoderKLHunyuanVideo(HunyuanVideoVAEConfig())
    assert same_tensors(ours, theirs) == (246_478_803, 248)


def test_defaults_are_the_reference_s():
    with torch.device("meta"):
        theirs = Reference().config
    for name, value in dataclasses.asdict(HunyuanVideoVAEConfig()).items():
        expected = theirs[name]
        assert value == (list(expected) if isinstance(expected, tuple) else expected)


@pytest.mark.parametrize("size", [(2, 16, 16), (5, 12, 16), (5, 16, 20)])
def test_other_clips_are_not_encoded(pair, size):
    with pytest.raises(SettingError, match=f"{size[0]} frames of {size[2]}x{size[1]}"):
        pair[0].encode(mx.zeros((1, *size, 3)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"act_fn": "relu"},
        {"temporal_compression_ratio": 8},
        {"block_out_channels": [8, 8]},
        {"up_block_types": ["other"] * 4},
    ],
)
def test_configs_of_no_checkpoint_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HunyuanVideoVAEConfig(**wrong)
