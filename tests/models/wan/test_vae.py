"""Wan's VAE without a reference: chunks, tiles, memory and types change nothing; what it can't take
is refused.
"""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError, WeightsError
from mlxvid.layers import conv
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
    assert a.shape == b.shape and mx.abs(a - b).max().item() < tolerance and mx.std(b).item() > 0.01


@pytest.mark.parametrize("chunk", [2, 3, 9])
def test_chunks_change_nothing(vae, chunk):
    x = video(2, 17, 16, 24, 3)
    z = vae.encode(x)
    assert z.shape == (2, 5, 2, 3, 4)
    close(vae.encode(x, chunk=chunk), z)
    close(whole(vae.decode(z, chunk=chunk)), whole(vae.decode(z)))


def test_frames_come_in_order_and_as_many(vae):
    z = video(1, 6, 2, 3, 4)
    assert [part.shape for part in vae.decode(z)] == [(1, n, 16, 24, 3) for n in (1, 4, 4, 4, 4, 4)]
    assert [part.shape[1] for part in vae.decode(z, chunk=4)] == [13, 8]


@pytest.mark.parametrize(("height", "width", "tile"), [(30, 2, 5), (5, 7, 4)])
def test_tiles_with_a_halo_change_nothing(vae, height, width, tile):
    """The first picture is so much longer than the halo that a tile in the middle sees no edge."""
    x = video(1, 5, 8 * height, 8 * width, 3)
    z = vae.encode(x, tile=99)
    close(vae.encode(x, tile=tile), z)
    parts = list(vae.decode(z, tile=tile))
    assert [part.shape[1] for part in parts] == [1, 4]
    close(whole(parts), whole(vae.decode(z, tile=99)))


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_halo_is_as_far_as_the_convolutions_reach(blocks):
    """Among zeros, and with weights that are positive, a value is seen in all that it reaches."""
    vae = AutoencoderKLWan(WanVAEConfig(**{**TINY, "num_res_blocks": blocks}))
    vae.apply(mx.abs)
    centre = max(encoder_halo(vae.config), decoder_halo(vae.config)) + 2
    pixels = [spot(8 * centre + i, 8 * (2 * centre + 1), 8, 3) for i in (0, 7)]
    assert max(reach(vae.encoder.lower(x, Stream()), centre) for x in pixels) == encoder_halo(
        vae.config
    )
    frame = vae.decoder.upper(spot(centre, 2 * centre + 1, 1, 16), Stream())
    assert reach(frame.reshape(1, 1, 8, -1, 24), centre) == decoder_halo(vae.config)


def spot(column: int, width: int, height: int, channels: int) -> mx.array:
    return mx.broadcast_to(
        (mx.arange(width) == column).astype(mx.float32)[:, None], (1, 1, height, width, channels)
    )


def reach(x: mx.array, centre: int) -> int:
    return max(
        abs(i - centre) for i, seen in enumerate((x != 0).any(axis=(0, 1, 2, 4)).tolist()) if seen
    )


def test_large_pictures_are_tiled_by_themselves(vae, monkeypatch):
    z, seen = video(1, 2, 3, 40, 4), []
    upper = vae.decoder.upper
    monkeypatch.setattr(
        wan_vae.Decoder,
        "upper",
        lambda self, x, stream: seen.append(x.shape[3]) or upper(x, stream),
    )
    expected = whole(vae.decode(z))
    assert seen == [40, 40]
    seen.clear()
    monkeypatch.setattr(wan_vae, "WHOLE", 3 * 40 - 1)
    monkeypatch.setattr(wan_vae, "TILE", 32)
    close(whole(vae.decode(z)), expected)
    assert seen == [40, 40, 8 + decoder_halo(vae.config), 8 + decoder_halo(vae.config)]


def test_blending_fades_a_tile_into_the_next():
    numbers = []
    y = blended(
        lambda part, number: numbers.append(number) or mx.zeros_like(part) + number,
        mx.zeros((1, 1, 2, 10, 1)),
        tile=6,
        stride=4,
    )
    assert numbers == [0, 1, 2] and y.reshape(2, 10)[1].tolist() == [
        0,
        0,
        0,
        0,
        0,
        0.5,
        1,
        1,
        1,
        1.5,
    ]


@pytest.mark.parametrize("positions", [1, 100, 400])
def test_frames_of_a_level_a_few_at_a_time(vae, monkeypatch, positions):
    x = video(2, 17, 16, 24, 3)
    z = vae.encode(x)
    frames = whole(vae.decode(z))
    monkeypatch.setattr(vae_blocks, "MAX_POSITIONS", positions)
    close(vae.encode(x, chunk=3), z)
    close(whole(vae.decode(z, chunk=3)), frames)


def peak(vae: AutoencoderKLWan, latent_frames: int, side: int) -> int:
    """Bytes that are held at most while a clip is decoded."""
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
    assert 1.5 * eager < peak(vae, 3, 16)


def test_a_stream_keeps_only_the_frames_that_are_needed():
    layer, stream, frame = CausalConv3d(4, 4, (3, 1, 1)), Stream(), 32 * 32 * 4 * 4
    x = video(1, 20, 32, 32, 4)
    mx.eval(x)
    before = mx.get_active_memory()
    stream.extend(layer, x + 1, 2)
    mx.eval(stream.arrays())
    assert mx.get_active_memory() - before < 3 * frame


@pytest.mark.parametrize("frames", [[5], [1, 1, 1, 2], [1, 4], [2, 1, 2]])
def test_zeros_before_the_clip(frames):
    layer, stream = CausalConv3d(3, 5, (3, 3, 3), repeat_first=False), Stream()
    x = video(2, 5, 4, 6, 3)
    expected = mx.conv3d(
        mx.pad(x, ((0, 0), (2, 0), (0, 0), (0, 0), (0, 0))), layer.weight, padding=(0, 1, 1)
    )
    parts = mx.split(x, np.cumsum(frames)[:-1].tolist(), axis=1)
    close(mx.concatenate([layer(part, stream) for part in parts], axis=1), expected)


def test_large_inputs_are_convolved_a_few_frames_at_a_time(monkeypatch):
    layer, x, sizes = FrameConv2d(3, 2, 3, padding=1), video(2, 3, 4, 5, 3), []
    expected = layer(x)
    conv2d = mx.conv2d
    monkeypatch.setattr(conv, "MAX_VALUES", 130)
    monkeypatch.setattr(
        conv.mx, "conv2d", lambda x, *rest: sizes.append(x.size) or conv2d(x, *rest)
    )
    close(layer(x), expected)
    assert sizes == [120, 120, 120]


def test_attention_in_blocks_of_queries(monkeypatch):
    block, x = vae_blocks.AttentionBlock(6), video(2, 3, 4, 5, 6)
    expected = block(x, Stream())
    monkeypatch.setattr(vae_blocks, "MAX_SCORES", 2 * 3 * 20 * 7)
    close(block(x, Stream()), expected)


def test_half_precision_weights_give_float32_results_near_the_others(vae):
    half = AutoencoderKLWan(vae.config)
    half.update(vae.parameters())
    half.set_dtype(mx.bfloat16)
    x = video(1, 5, 16, 16, 3)
    z = vae.encode(x)
    for ours, expected in ((half.encode(x), z), (whole(half.decode(z)), whole(vae.decode(z)))):
        assert ours.dtype == mx.float32 and mx.abs(ours - expected).mean() < 0.1 * mx.std(expected)


@pytest.mark.parametrize("shape", [(4, 16, 16), (5, 20, 16), (5, 16, 4)])
def test_sizes_that_no_latents_have_are_refused(vae, shape):
    frames, height, width = shape
    with pytest.raises(SettingError) as error:
        vae.encode(mx.zeros((1, *shape, 3)))
    assert str(error.value) == (
        f"{frames} frames of {width}x{height} can't be encoded; give 1 + 4k frames of a width and height that divide by 8."
    )


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            {"is_residual": True},
            "its VAE has the residual or patched levels of Wan 2.2, and mlxvid knows that of Wan 2.1",
        ),
        (
            {"patch_size": 2},
            "its VAE has the residual or patched levels of Wan 2.2, and mlxvid knows that of Wan 2.1",
        ),
        (
            {"attn_scales": [0.5]},
            "its VAE has attention on other levels than the coarsest, which no release of Wan 2.1 has",
        ),
        ({"temperal_downsample": [True]}, "1 temperal_downsample between 4 levels"),
        ({"z_dim": 48}, "16 latents_mean or latents_std for 48 channels"),
        ({"base_dim": "96"}, "base_dim"),
    ],
)
def test_other_configs_are_refused(values, why):
    with pytest.raises(WeightsError) as error:
        from_json(WanVAEConfig, values, Path("vae/config.json"))
    assert str(error.value) == (
        f"vae/config.json does not describe a model that mlxvid can make ({why}); download or convert the model again."
    )
