"""Wan's VAE without a reference: chunks, tiles, memory, types, and refusals."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError, WeightsError
from mlxvid.layers import conv, processor
from mlxvid.layers.conv import CausalConv3d, FrameConv2d, Stream
from mlxvid.layers.tiling import blended
from mlxvid.model.folder import from_json
from mlxvid.models.wan import vae as wan_vae
from mlxvid.models.wan import vae_blocks
from mlxvid.models.wan.vae import AutoencoderKLWan, decoder_halo, encoder_halo
from mlxvid.models.wan.vae_config import WanVAEConfig

TINY = dict(
    base_dim=8,
    z_dim=4,
    dim_mult=[1, 2, 2, 2],
    num_res_blocks=1,
    latents_mean=[0.1, -0.2, 0.3, 0.0],
    latents_std=[1.0, 2.0, 0.5, 1.5],
)


@pytest.fixture(scope="module")
def vae():
    mx.random.seed(5)
    return AutoencoderKLWan(WanVAEConfig(**TINY))


def video(*shape: int) -> mx.array:
    return mx.array(np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32))


def whole(parts) -> mx.array:
    return mx.concatenate(list(parts), axis=1)


def close(a: mx.array, b: mx.array, tolerance: float = 1e-5) -> None:
    assert a.shape == b.shape and mx.std(b).item() > 0.01
    assert mx.abs(a - b).max().item() < tolerance


@pytest.mark.parametrize("chunk", [2, 3, 9])
def test_chunks_change_nothing(vae, chunk):
    x = video(2, 17, 16, 24, 3)
    z = vae.encode(x)
    assert z.shape == (2, 5, 2, 3, 4)
    close(vae.encode(x, chunk=chunk), z)
    close(whole(vae.decode(z, chunk=chunk)), whole(vae.decode(z)))


def test_frames_come_in_order_and_as_many(vae):
    z = video(1, 6, 2, 3, 4)
    parts = list(vae.decode(z))
    assert [part.shape[1] for part in parts] == [1, 4, 4, 4, 4, 4]
    assert {part.shape[2:] for part in parts} == {(16, 24, 3)}
    assert [part.shape[1] for part in vae.decode(z, chunk=4)] == [13, 8]


@pytest.mark.parametrize(("height", "width", "tile"), [(30, 2, 5), (5, 7, 4)])
def test_tiles_with_a_halo_change_nothing(vae, height, width, tile):
    """The first picture is so long that the halo of a tile in the middle reaches no edge."""
    x = video(1, 5, 8 * height, 8 * width, 3)
    z = vae.encode(x, tile=99)
    close(vae.encode(x, tile=tile), z)
    parts = list(vae.decode(z, tile=tile))
    assert [part.shape[1] for part in parts] == [1, 4]
    close(whole(parts), whole(vae.decode(z, tile=99)))


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_halo_is_as_far_as_the_convolutions_reach(blocks):
    """Among zeros, and with positive weights, a value changes every result that it reaches."""
    vae = AutoencoderKLWan(WanVAEConfig(**{**TINY, "num_res_blocks": blocks}))
    vae.apply(mx.abs)
    centre = max(encoder_halo(vae.config), decoder_halo(vae.config)) + 2
    width = 2 * centre + 1
    reaches = []
    for offset in (0, 7):
        x = spot(8 * centre + offset, 8 * width, 8, 3)
        reaches.append(reach(vae.encoder.lower(x, Stream()), centre))
    assert max(reaches) == encoder_halo(vae.config)
    frame = vae.decoder.upper(spot(centre, width, 1, 16), Stream())
    assert reach(frame.reshape(1, 1, 8, -1, 24), centre) == decoder_halo(vae.config)


def spot(column: int, width: int, height: int, channels: int) -> mx.array:
    """Ones in one column of a frame, zeros elsewhere."""
    row = (mx.arange(width) == column).astype(mx.float32)
    return mx.broadcast_to(row[:, None], (1, 1, height, width, channels))


def reach(x: mx.array, centre: int) -> int:
    """The distance of the farthest column that isn't zero."""
    changed = np.array((x != 0).any(axis=(0, 1, 2, 4)))
    return int(np.abs(np.flatnonzero(changed) - centre).max())


def test_large_pictures_are_tiled_by_themselves(vae, monkeypatch):
    z = video(1, 2, 3, 40, 4)
    upper = vae.decoder.upper
    widths = []

    def recorded(self, x, stream):
        widths.append(x.shape[3])
        return upper(x, stream)

    monkeypatch.setattr(wan_vae.Decoder, "upper", recorded)
    expected = whole(vae.decode(z))
    assert widths == [40, 40]
    widths.clear()
    monkeypatch.setattr(wan_vae, "WHOLE", 3 * 40 - 1)
    monkeypatch.setattr(wan_vae, "TILE", 32)
    close(whole(vae.decode(z)), expected)
    last = 8 + decoder_halo(vae.config)
    assert widths == [40, 40, last, last]


def test_blending_fades_a_tile_into_the_next():
    numbers = []

    def numbered(part, number):
        numbers.append(number)
        return mx.zeros_like(part) + number

    y = blended(numbered, mx.zeros((1, 1, 2, 10, 1)), tile=6, stride=4)
    assert numbers == [0, 1, 2]
    assert y.reshape(2, 10)[1].tolist() == [0] * 5 + [0.5] + [1] * 3 + [1.5]


@pytest.mark.parametrize("positions", [1, 100, 400])
def test_frames_of_a_level_a_few_at_a_time(vae, monkeypatch, positions):
    x = video(2, 17, 16, 24, 3)
    z = vae.encode(x)
    frames = whole(vae.decode(z))
    monkeypatch.setattr(vae_blocks, "MAX_POSITIONS", positions)
    close(vae.encode(x, chunk=3), z)
    close(whole(vae.decode(z, chunk=3)), frames)


def peak(vae: AutoencoderKLWan, latent_frames: int, side: int) -> int:
    """The most bytes held while a clip is decoded."""
    z = video(1, latent_frames, side, side, 4)
    mx.clear_cache()
    mx.reset_peak_memory()
    for _ in vae.decode(z):
        pass
    return mx.get_peak_memory()


def test_memory_does_not_grow_with_the_clip(vae):
    assert peak(vae, 6, 8) < 1.05 * peak(vae, 2, 8)


def test_large_frames_take_less_memory_than_lazily(vae, monkeypatch):
    monkeypatch.setattr(conv, "MAX_LAZY_VALUES", 2**13)
    monkeypatch.setattr(vae_blocks, "MAX_POSITIONS", 2**13)
    eager = peak(vae, 3, 16)
    monkeypatch.setattr(conv, "MAX_LAZY_VALUES", 2**30)
    monkeypatch.setattr(vae_blocks, "MAX_POSITIONS", 2**30)
    assert 1.2 * eager < peak(vae, 3, 16)


def test_a_stream_keeps_only_the_frames_that_are_needed():
    layer = CausalConv3d(4, 4, (3, 1, 1))
    stream = Stream()
    frame = 32 * 32 * 4 * 4  # bytes
    x = video(1, 20, 32, 32, 4)
    mx.eval(x)
    before = mx.get_active_memory()
    stream.extend(layer, x + 1, 2)
    mx.eval(stream.arrays())
    assert mx.get_active_memory() - before < 3 * frame


@pytest.mark.parametrize("frames", [[5], [1, 1, 1, 2], [1, 4], [2, 1, 2]])
def test_zeros_before_the_clip(frames):
    layer = CausalConv3d(3, 5, (3, 3, 3), repeat_first=False)
    stream = Stream()
    x = video(2, 5, 4, 6, 3)
    padded = mx.pad(x, [(0, 0), (2, 0), (0, 0), (0, 0), (0, 0)])
    expected = mx.conv3d(padded, layer.weight, padding=(0, 1, 1))
    parts = mx.split(x, np.cumsum(frames)[:-1].tolist(), axis=1)
    close(mx.concatenate([layer(part, stream) for part in parts], axis=1), expected)


def test_large_inputs_are_convolved_a_few_frames_at_a_time(monkeypatch):
    layer = FrameConv2d(3, 2, 3, stride=2, padding=1)
    x = video(2, 3, 4, 5, 3)
    expected = layer(x)
    conv2d = mx.conv2d
    sizes = []

    def recorded(x, *rest):
        sizes.append(x.size)
        return conv2d(x, *rest)

    monkeypatch.setattr(conv, "MAX_VALUES", 130)
    monkeypatch.setattr(conv.mx, "conv2d", recorded)
    close(layer(x), expected)
    assert sizes == [120, 120, 120]


def test_attention_in_blocks_of_queries(monkeypatch):
    block = vae_blocks.AttentionBlock(6)
    x = video(2, 3, 4, 5, 6)
    expected = block(x, Stream())
    monkeypatch.setattr(processor, "PART", 20 * 7)
    monkeypatch.setattr(processor, "QUERIES", 1)
    close(block(x, Stream()), expected)


def test_half_precision_weights_give_float32_results_near_the_others(vae):
    half = AutoencoderKLWan(vae.config)
    half.update(vae.parameters())
    half.set_dtype(mx.bfloat16)
    x = video(1, 5, 16, 16, 3)
    z = vae.encode(x)
    encoded = (half.encode(x), z)
    decoded = (whole(half.decode(z)), whole(vae.decode(z)))
    for ours, expected in (encoded, decoded):
        assert ours.dtype == mx.float32
        assert mx.abs(ours - expected).mean() < 0.1 * mx.std(expected)


@pytest.mark.parametrize("shape", [(4, 16, 16), (5, 20, 16), (5, 16, 4)])
def test_sizes_that_no_latents_have_are_refused(vae, shape):
    frames, height, width = shape
    with pytest.raises(SettingError) as error:
        vae.encode(mx.zeros((1, *shape, 3)))
    for fact in (f"{frames} frames of {width}x{height}", "1 + 4k frames", "divide by 8"):
        assert fact in str(error.value)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"is_residual": True}, "Wan 2.2"),
        ({"patch_size": 2}, "Wan 2.2"),
        ({"attn_scales": [0.5]}, "attention on other levels than the coarsest"),
        ({"temperal_downsample": [True]}, "1 temperal_downsample between 4 levels"),
        ({"z_dim": 48}, "16 latents_mean or latents_std for 48 channels"),
        ({"base_dim": "96"}, "base_dim"),
    ],
)
def test_other_configs_are_refused(values, why):
    with pytest.raises(WeightsError) as error:
        from_json(WanVAEConfig, values, Path("vae/config.json"))
    message = str(error.value)
    assert message.startswith("vae/config.json ") and why in message
    assert "download or convert" in message
