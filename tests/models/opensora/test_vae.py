"""Open-Sora 1.2's VAE against golden data from the reference: tests/golden/opensora12/vae*."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.errors import WeightsError
from mlxvid.model.folder import from_json
from mlxvid.models.opensora.vae import OpenSoraVAE
from mlxvid.models.opensora.vae_config import OpenSoraVAEConfig
from mlxvid.weights.reading import fill

from .golden import vae as golden

FOLDER = Path(__file__).parents[2] / "golden" / "opensora12"
# The part of hpcai-tech/OpenSora-VAE-v1.2's config.json that is about the model.
RELEASED = {
    "architectures": ["VideoAutoencoderPipeline"],
    "cal_loss": False,
    "freeze_vae_2d": False,
    "from_pretrained": None,
    "micro_frame_size": 17,
    "model_type": "VideoAutoencoderPipeline",
    "scale": [3.85, 2.32, 2.33, 3.06],
    "shift": [-0.1, 0.34, 0.27, 0.98],
    "vae_2d": {
        "from_pretrained": "PixArt-alpha/pixart_sigma_sdxlvae_T5_diffusers",
        "micro_batch_size": 4,
        "type": "VideoAutoencoderKL",
    },
    "vae_temporal": {"from_pretrained": None, "type": "VAE_Temporal_SD"},
}


@pytest.fixture(scope="module")
def vae():
    return golden.read_vae(FOLDER)


def random(*shape: int, seed: int = 0) -> mx.array:
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def whole(parts) -> mx.array:
    return mx.concatenate(list(parts), axis=1)


def test_golden_files():
    results = list(golden.check(FOLDER))
    names = [name for name, _, _ in results]
    assert {name.split(",")[0].split()[0] for name in names} >= {
        "vae2d.case0",
        "vae_pipeline.t1",
        "vae_pipeline.t17",
        "vae_pipeline.t20",
        "vae_temporal.t1",
        "vae_temporal.t10",
        "vae_temporal.t17",
    }
    assert any("z_sampled" in name for name in names)
    assert sum("stages" in name for name in names) == 2
    assert max(error for _, error, _ in results) < 1e-4


def test_a_wrong_tensor_is_found(tmp_path):
    """The comparison itself: wrong, misshapen, infinite or missing tensors are never accepted."""
    for name in ("vae.config.json", "vae.weights.safetensors"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    case = mx.load(str(FOLDER / "vae_temporal.t1.safetensors"))
    case["decoded"] = case["decoded"] + 2e-4
    case["moments_std"] = mx.full(case["moments_std"].shape, float("nan"))
    case["moments_logvar"] = case["moments_logvar"][..., :-1]
    case["mid.unheard_of"] = mx.zeros((1, 4, 1, 3, 4))
    mx.save_safetensors(str(tmp_path / "vae_temporal.t1.safetensors"), case)
    results = {}
    for name, error, tolerance in golden.check(tmp_path):
        results[name.split(",")[0].split()[-1]] = error / tolerance
    assert 1.5 < results.pop("decoded") < 2.5
    assert results.pop("moments_mean") < 0.1
    assert results.keys() == {"moments_std", "moments_logvar", "vae_temporal.t1"}
    assert set(results.values()) == {float("inf")}


def test_every_tensor_of_the_released_checkpoint_has_its_place():
    inventory = json.loads((FOLDER / "vae_v1_2_inventory.json").read_text())["tensors"]
    vae = OpenSoraVAE(from_json(OpenSoraVAEConfig, RELEASED, Path("config.json")))
    needed = {}
    for name, shape in inventory.items():
        needed[name] = (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else tuple(shape)
    assert len(needed) == 517
    assert {name: value.shape for name, value in tree_flatten(vae.parameters())} == needed


def test_the_latents_scale_is_the_checkpoints(vae):
    """The reference keeps scale and shift with the weights, and uses those."""
    assert vae.scale.reshape(-1).tolist() == pytest.approx(RELEASED["scale"])
    assert vae.shift.reshape(-1).tolist() == pytest.approx(RELEASED["shift"])


@pytest.mark.parametrize(
    ("frames", "latent"),
    [(1, 1), (4, 1), (5, 2), (17, 5), (18, 6), (20, 6), (34, 10), (51, 15), (204, 60), (816, 240)],
)
def test_latent_frames(frames, latent):
    assert OpenSoraVAEConfig().latent_frames(frames) == latent


def test_any_number_of_frames_comes_back(vae):
    for frames in (2, 19, 36):
        z = vae.encode(random(1, frames, 8, 8, 3))
        assert z.shape == (1, vae.config.latent_frames(frames), 1, 1, 4)
        assert whole(vae.decode(z, frames)).shape == (1, frames, 8, 8, 3)


def test_chunks_are_independent(vae):
    z = random(2, 7, 2, 1, 4)
    frames = whole(vae.decode(z, 23))
    assert mx.allclose(frames[:, :17], whole(vae.decode(z[:, :5], 17)), atol=1e-5)
    assert mx.allclose(frames[:, 17:], whole(vae.decode(z[:, 5:], 6)), atol=1e-5)


def test_a_sample_is_the_mean_with_noise_of_its_key(vae):
    x = mx.tanh(random(1, 18, 16, 24, 3))
    sample = vae.sample(x, mx.random.key(3))
    again = vae.sample(x, mx.random.key(3))
    other = vae.sample(x, mx.random.key(4))
    mean = vae.encode(x)
    assert sample.shape == mean.shape == (1, 6, 2, 3, 4) and sample.dtype == mx.float32
    assert mx.array_equal(sample, again)
    assert mx.abs(sample - other).max() > 0.01
    assert mx.abs(sample - mean).max() > 0.01
    spatial_key, temporal_key = mx.random.split(mx.random.key(3))
    spatial = mx.random.normal((1, 18, 2, 3, 4), key=spatial_key)
    temporal = mx.random.normal((1, 6, 2, 3, 4), key=temporal_key)
    assert mx.array_equal(vae.encode(x, (spatial, temporal)), sample)


def test_tiles_reach_the_image_vae(vae):
    z = random(1, 1, 12, 9, 4)
    (once,) = vae.decode(z, 1)
    (tiled,) = vae.decode(z, 1, tile=8)
    assert once.shape == tiled.shape and mx.abs(once - tiled).max() > 1e-3


def test_latents_of_another_length_are_refused(vae):
    with pytest.raises(ValueError, match="^6 latent frames where 17 frames have 5$"):
        next(vae.decode(mx.zeros((1, 6, 2, 2, 4)), 17))


def peak(function) -> int:
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    function()
    return mx.get_peak_memory() - before


def test_memory_does_not_grow_with_the_clip(vae):
    def decoded(z: mx.array, frames: int) -> None:
        for _ in vae.decode(z, frames):
            pass

    short = random(1, 5, 8, 8, 4)
    long = random(1, 20, 8, 8, 4)
    mx.eval(short, long)
    assert peak(lambda: decoded(long, 68)) < 1.05 * peak(lambda: decoded(short, 17))


def test_half_precision_weights_give_float32_results_and_leave_the_scale(vae):
    half = OpenSoraVAE(vae.config)
    half.update(vae.parameters())
    half.set_dtype(mx.bfloat16)
    assert half.scale.dtype == half.shift.dtype == mx.float32
    assert half.temporal_vae.decoder.norm1.weight.dtype == mx.bfloat16
    x = mx.tanh(random(1, 5, 16, 16, 3))
    z = random(1, 2, 2, 2, 4)
    encoded = (half.encode(x), vae.encode(x))
    decoded = (whole(half.decode(z, 5)), whole(vae.decode(z, 5)))
    for ours, full in (encoded, decoded):
        assert ours.dtype == mx.float32
        assert mx.abs(ours - full).max() < 0.3
        assert mx.abs(ours - full).mean() < 0.03


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"micro_frame_size": 0}, "micro_frame_size"),
        ({"filters": 48}, "multiples of 32"),
        ({"channel_multipliers": []}, "channel_multipliers"),
        ({"channel_multipliers": [1, 2]}, "temporal_downsample"),
        ({"channel_multipliers": [1, 2, 2, "4"]}, "channel_multipliers"),
        ({"temporal_downsample": [False, True, 2]}, "temporal_downsample"),
        ({"block_out_channels": [100]}, "block_out_channels"),
        ({"spatial_scaling": -1.0}, "scaling_factor"),
    ],
)
def test_impossible_sizes_are_refused(sizes, says):
    with pytest.raises(ValueError, match=says):
        OpenSoraVAEConfig(**sizes)
    with pytest.raises(WeightsError, match=f"vae/config.json .*{says}.*download or convert"):
        from_json(OpenSoraVAEConfig, sizes, Path("vae/config.json"))


def test_weights_of_other_sizes_are_refused():
    vae = OpenSoraVAE(OpenSoraVAEConfig(filters=32))
    with pytest.raises(WeightsError):
        fill(vae, vae.sanitize(mx.load(str(FOLDER / "vae.weights.safetensors"))), FOLDER)
