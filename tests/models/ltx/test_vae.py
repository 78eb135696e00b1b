"""LTX-Video's VAE without a reference: parts, tiles, noise, memory, types, and refusals."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_map

from mlxvid.errors import SettingError, WeightsError
from mlxvid.layers import conv
from mlxvid.model.folder import from_json
from mlxvid.models.ltx import vae as ltx_vae
from mlxvid.models.ltx.vae import AutoencoderKLLTXVideo
from mlxvid.models.ltx.vae_config import PLAIN, RESIDUAL, LTXVAEConfig
from mlxvid.models.ltx.vae_noise import Noise

CHANNELS = 6
PLAIN_ENCODER = dict(block_out_channels=[8, 12, 16, 16], layers_per_block=[1] * 5)
TIMED_DECODER = dict(
    decoder_block_out_channels=[8, 16, 32],
    decoder_layers_per_block=[1, 2, 1, 2],
    decoder_spatio_temporal_scaling=[True] * 3,
    decoder_inject_noise=[True, True, True, False],
    upsample_residual=[True] * 3,
    upsample_factor=[2] * 3,
    timestep_conditioning=True,
)
RESIDUAL_ENCODER = dict(
    block_out_channels=[8, 16, 32, 64, 32],
    layers_per_block=[1] * 5,
    down_block_types=[RESIDUAL] * 4,
    downsample_type=["spatial", "temporal", "spatiotemporal", "spatiotemporal"],
    spatio_temporal_scaling=[True] * 4,
)
CONFIGS = {
    "A": PLAIN_ENCODER
    | dict(decoder_block_out_channels=[6, 10, 14, 14], decoder_layers_per_block=[1] * 5),
    "B": PLAIN_ENCODER | TIMED_DECODER,
    "C": RESIDUAL_ENCODER | TIMED_DECODER | dict(decoder_inject_noise=[False] * 4),
}
KEY = mx.random.key(8)


def made(generation: str) -> AutoencoderKLLTXVideo:
    """A tiny VAE whose every value is random."""
    mx.random.seed(6)
    vae = AutoencoderKLLTXVideo(LTXVAEConfig(latent_channels=CHANNELS, **CONFIGS[generation]))
    vae.update(tree_map(lambda x: x + 0.1 * mx.random.normal(x.shape), vae.parameters()))
    return vae


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def vae(request):
    return made(request.param)


@pytest.fixture(scope="module")
def noisy():
    return made("B")


def random(*shape: int, seed: int = 0) -> mx.array:
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def whole(parts) -> mx.array:
    return mx.concatenate(list(parts), axis=1)


def close(a: mx.array, b: mx.array, tolerance: float = 1e-5) -> None:
    assert a.shape == b.shape and mx.std(b).item() > 0.01
    assert mx.abs(a - b).max().item() < tolerance * max(1, mx.abs(b).max().item())


@pytest.mark.parametrize("positions", [1, 60])
def test_a_few_frames_at_a_time_change_nothing(vae, positions, monkeypatch):
    x = mx.tanh(random(2, 17, 32, 64, 3))
    monkeypatch.setattr(ltx_vae, "MAX_POSITIONS", 2**30)
    z = vae.encode(x)
    frames = whole(vae.decode(z, 0.05, KEY))
    assert z.shape == (2, 3, 1, 2, CHANNELS) and frames.shape == x.shape
    monkeypatch.setattr(ltx_vae, "MAX_POSITIONS", positions)
    close(vae.encode(x), z)
    parts = list(vae.decode(z, 0.05, KEY))
    close(whole(parts), frames)
    assert len(parts) > 10


def test_a_decoded_frame_depends_on_those_after_it_and_an_encoded_one_does_not(vae):
    x = mx.tanh(random(1, 17, 32, 32, 3))
    close(vae.encode(x[:, :9]), vae.encode(x)[:, :2])
    z = random(1, 3, 1, 2, CHANNELS)
    shorter = whole(vae.decode(z[:, :2]))
    assert mx.abs(whole(vae.decode(z))[:, 0] - shorter[:, 0]).max() > 1e-4


def test_the_decoder_is_told_the_time(vae):
    z = random(1, 2, 1, 2, CHANNELS)
    early = whole(vae.decode(z, 0.05))
    differs = mx.abs(early - whole(vae.decode(z, 0.5))).max().item() > 1e-3
    assert differs == (vae.config.generation != "A")


def test_noise_is_of_its_key(noisy):
    z = random(1, 3, 2, 3, CHANNELS)
    frames = whole(noisy.decode(z, 0.05, KEY))
    assert mx.array_equal(frames, whole(noisy.decode(z, 0.05, KEY)))
    for other in (None, mx.random.key(9)):
        assert mx.abs(frames - whole(noisy.decode(z, 0.05, other))).max() > 1e-2


def test_a_tile_s_noise_is_cut_out_of_the_picture_s():
    picture = Noise(KEY, 5, 7)
    tile = Noise(KEY, 5, 7, top=2, left=3, tile_height=3)
    for _ in range(2):
        all_of_it = picture.of_block()
        part = tile.of_block()
        for number in (0, 1):
            expected = all_of_it(number, mx.zeros((1, 1, 20, 28, 1)))[8:, 12:]
            assert mx.array_equal(part(number, mx.zeros((1, 1, 12, 16, 1))), expected)


def test_tiles_differ_from_one_pass_near_their_seams_only(noisy):
    """By position, as a share of the spread: random weights see far, trained ones less."""
    z = random(1, 2, 1, 23, CHANNELS)
    x = mx.tanh(random(1, 9, 32, 23 * 32, 3))
    one = whole(noisy.decode(z, 0.05, KEY))
    parts = list(noisy.decode(z, 0.05, KEY, tile=16))
    assert [part.shape[1] for part in parts] == [1, 8]
    decoded = mx.abs(whole(parts) - one) / mx.std(one)
    encoded = mx.abs(noisy.encode(x, tile=16) - noisy.encode(x)) / mx.std(noisy.encode(x))
    for difference in (decoded, encoded):
        of_position = difference.mean(axis=(0, 1, 2, 4)).reshape(23, -1).mean(axis=1)
        assert of_position[:9].max() < 0.01 and of_position[-2:].max() < 0.01
        assert of_position[13:17].max() < 0.7


def peak(vae: AutoencoderKLLTXVideo, latent_frames: int, side: int = 3) -> int:
    """The most bytes held while a clip is decoded, beside its latents."""
    z = random(1, latent_frames, side, side, CHANNELS)
    mx.eval(z)
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    for _ in vae.decode(z, 0.05):
        pass
    return mx.get_peak_memory() - before


def test_memory_does_not_grow_with_the_clip(noisy, monkeypatch):
    monkeypatch.setattr(ltx_vae, "MAX_POSITIONS", 2**8)
    monkeypatch.setattr(conv, "MAX_LAZY_VALUES", 2**10)
    assert peak(noisy, 12) < 1.1 * peak(noisy, 6)


def test_half_precision_weights_give_float32_results_near_the_others(vae):
    half = AutoencoderKLLTXVideo(vae.config)
    half.update(vae.parameters())
    half.set_dtype(mx.bfloat16)
    x = mx.tanh(random(1, 9, 32, 64, 3))
    z = vae.encode(x)
    encoded = (half.encode(x), z)
    decoded = (whole(half.decode(z, 0.05)), whole(vae.decode(z, 0.05)))
    for ours, expected in (encoded, decoded):
        assert ours.dtype == mx.float32
        assert mx.abs(ours - expected).mean() < 0.1 * mx.std(expected)


@pytest.mark.parametrize("shape", [(8, 32, 32), (9, 48, 32), (9, 32, 16)])
def test_sizes_that_no_latents_have_are_refused(noisy, shape):
    frames, height, width = shape
    with pytest.raises(SettingError) as error:
        noisy.encode(mx.zeros((1, *shape, 3)))
    for fact in (f"{frames} frames of {width}x{height}", "1 + 8k frames", "divide by 32"):
        assert fact in str(error.value)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"patch_size_t": 2}, "patches in time"),
        ({"decoder_causal": True}, "sees future frames"),
        ({"down_block_types": [PLAIN, RESIDUAL, PLAIN, PLAIN]}, "down_block_types"),
        ({"layers_per_block": [1, 1]}, "2 layers_per_block for 4 levels"),
        ({"decoder_inject_noise": [False] * 3}, "3 decoder_inject_noise where 4 levels need 5"),
        ({"timestep_conditioning": True}, "changes its width"),
        ({"spatio_temporal_scaling": [True] * 4}, "another size"),
        (RESIDUAL_ENCODER | {"downsample_type": ["conv"] * 4}, "downsample_type"),
        (RESIDUAL_ENCODER | {"spatio_temporal_scaling": [True] * 3 + [False]}, "without"),
        ({"latent_channels": "128"}, "latent_channels"),
    ],
)
def test_other_configs_are_refused(values, why):
    with pytest.raises(WeightsError) as error:
        from_json(LTXVAEConfig, values, Path("vae/config.json"))
    message = str(error.value)
    assert message.startswith("vae/config.json ") and why in message
    assert "download or convert" in message
