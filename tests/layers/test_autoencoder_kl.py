"""AutoencoderKL and AutoencoderKLTemporalDecoder against Diffusers' classes of these names."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.errors import WeightsError
from mlxvid.layers import autoencoder_kl, processor
from mlxvid.layers.autoencoder_kl import AutoencoderKL
from mlxvid.layers.autoencoder_kl_config import AutoencoderKLConfig
from mlxvid.model.folder import from_json
from mlxvid.models.latte.vae import AutoencoderKLTemporalDecoder
from mlxvid.models.latte.vae_config import TemporalDecoderConfig
from mlxvid.weights.reading import fill

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

TOLERANCE = 1e-4
TINY = dict(
    block_out_channels=[8, 16, 24],
    layers_per_block=1,
    norm_num_groups=4,
    latent_channels=3,
    scaling_factor=0.4,
)
PLAIN = dict(
    block_out_channels=[8, 8],
    layers_per_block=2,
    norm_num_groups=2,
    scaling_factor=1.3,
    use_quant_conv=False,
    use_post_quant_conv=False,
    mid_block_add_attention=False,
)
REAL = dict(block_out_channels=[128, 256, 512, 512], layers_per_block=2)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blocks(config: dict, *kinds: str) -> dict:
    """The block types that Diffusers needs for each level."""
    levels = len(config["block_out_channels"])
    return {
        f"{kind}_block_types": [f"{kind.capitalize()}{coder}Block2D"] * levels
        for kind, coder in kinds
    }


def reference(config: dict, **more):
    return diffusers.AutoencoderKL(
        **config, **more, **blocks(config, ("down", "Encoder"), ("up", "Decoder"))
    )


def temporal_reference(config: dict):
    return diffusers.AutoencoderKLTemporalDecoder(**config, **blocks(config, ("down", "Encoder")))


def drawn(theirs, seed: int = 1):
    """`theirs` with every parameter random, norms and biases and mixing factors included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(noise * parameter[0].numel() ** -0.5)
            elif "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.3 * noise)
            else:
                parameter.copy_(0.3 * noise)
    return theirs.eval()


def tensors(theirs) -> dict[str, mx.array]:
    return {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}


def filled(ours, theirs):
    fill(ours, ours.sanitize(tensors(theirs)), Path("the reference"))
    return ours


@pytest.fixture(scope="module")
def tiny():
    """Ours and theirs; diffusers' tiles, once enabled, are 8 x 8 latent positions."""
    theirs = drawn(reference(TINY, sample_size=32))
    return filled(AutoencoderKL(AutoencoderKLConfig(**TINY)), theirs), theirs


@pytest.fixture(scope="module")
def temporal():
    config = dict(
        block_out_channels=[32, 64], layers_per_block=2, latent_channels=3, scaling_factor=0.4
    )
    theirs = drawn(temporal_reference(config))
    return filled(AutoencoderKLTemporalDecoder(TemporalDecoderConfig(**config)), theirs), theirs


def channels_first(x: np.ndarray):
    """[B, F, H, W, C] -> torch [B * F, C, H, W]."""
    return torch.from_numpy(np.moveaxis(x.reshape(-1, *x.shape[2:]), -1, 1).copy())


def channels_last(x, batch: int) -> np.ndarray:
    x = np.moveaxis(x.numpy(), 1, -1)
    return x.reshape(batch, -1, *x.shape[1:])


@torch.no_grad()
def their_latents(theirs, frames: np.ndarray) -> np.ndarray:
    mode = theirs.encode(channels_first(frames)).latent_dist.mode()
    return channels_last(mode, len(frames)) * theirs.config.scaling_factor


@torch.no_grad()
def their_frames(theirs, latents: np.ndarray, **more) -> np.ndarray:
    z = channels_first(latents / theirs.config.scaling_factor)
    return channels_last(theirs.decode(z, **more).sample, len(latents))


def whole(parts) -> mx.array:
    return mx.concatenate(list(parts), axis=1)


def close(ours: mx.array, theirs: np.ndarray, tolerance: float = TOLERANCE) -> None:
    assert ours.dtype == mx.float32 and ours.shape == theirs.shape and theirs.std() > 0.01
    assert np.abs(np.array(ours) - theirs).max() < tolerance


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 16, 16), (3, 38, 53)])
def test_encode(tiny, frames, height, width):
    x = np.tanh(random(2, frames, height, width, 3))
    close(tiny[0].encode(mx.array(x)), their_latents(tiny[1], x))


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 4, 4), (3, 5, 7)])
def test_decode(tiny, frames, height, width):
    z = random(2, frames, height, width, 3)
    close(whole(tiny[0].decode(mx.array(z))), their_frames(tiny[1], z))


def test_without_attention_and_quantizing_convolutions():
    theirs = drawn(reference(PLAIN))
    ours = filled(AutoencoderKL(AutoencoderKLConfig(**PLAIN)), theirs)
    x = np.tanh(random(2, 2, 10, 14, 3))
    z = random(2, 2, 5, 7, 4)
    close(ours.encode(mx.array(x)), their_latents(theirs, x))
    close(whole(ours.decode(mx.array(z))), their_frames(theirs, z))


def test_sample_of_the_distribution(tiny):
    x = np.tanh(random(2, 2, 16, 24, 3))
    noise = random(2, 2, 4, 6, 3, seed=4)
    with torch.no_grad():
        distribution = tiny[1].encode(channels_first(x)).latent_dist
        sample = distribution.mean + distribution.std * channels_first(noise)
    expected = channels_last(sample, 2) * 0.4
    close(tiny[0].encode(mx.array(x), noise=mx.array(noise)), expected)


def test_tiles(tiny):
    x = np.tanh(random(1, 2, 52, 76, 3))
    z = random(1, 2, 13, 19, 3)
    untiled = their_frames(tiny[1], z)
    tiny[1].enable_tiling()
    try:
        expected = their_frames(tiny[1], z)
        latents = their_latents(tiny[1], x)
    finally:
        tiny[1].disable_tiling()
    assert np.abs(expected - untiled).max() > 100 * TOLERANCE  # else this would prove nothing
    close(whole(tiny[0].decode(mx.array(z), tile=8)), expected)
    close(tiny[0].encode(mx.array(x), tile=8), latents)


def test_only_large_pictures_are_tiled(tiny, monkeypatch):
    x = mx.array(np.tanh(random(1, 1, 53, 78, 3)))
    z = mx.array(random(1, 1, 13, 19, 3))
    monkeypatch.setattr(autoencoder_kl, "UNTILED", 13 * 19)
    monkeypatch.setattr(autoencoder_kl, "TILE", 8)
    close(whole(tiny[0].decode(z)), their_frames(tiny[1], np.array(z)))
    close(tiny[0].encode(x), their_latents(tiny[1], np.array(x)))
    monkeypatch.setattr(autoencoder_kl, "UNTILED", 13 * 19 - 1)
    assert mx.array_equal(whole(tiny[0].decode(z)), whole(tiny[0].decode(z, tile=8)))
    assert mx.array_equal(tiny[0].encode(x), tiny[0].encode(x[:, :, :52, :76], tile=8))


def test_attention_in_blocks_of_queries(tiny, monkeypatch):
    z = mx.array(random(2, 2, 5, 7, 3))
    once = whole(tiny[0].decode(z))
    # Pictures of 35 positions, 4 queries a block.
    monkeypatch.setattr(processor, "PART", 35 * 4)
    monkeypatch.setattr(processor, "QUERIES", 1)
    assert mx.allclose(whole(tiny[0].decode(z)), once, atol=1e-5)


OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def test_names_of_old_checkpoints(tiny):
    ours, theirs = tiny
    old = {}
    for name, value in tensors(theirs).items():
        for before, now in OLD_NAMES.items():
            name = name.replace(f".{now}.", f".{before}.")
        old[name] = value
    assert "encoder.mid_block.attentions.0.proj_attn.weight" in old
    again = AutoencoderKL(ours.config)
    fill(again, again.sanitize(old), Path("an old checkpoint"))
    z = mx.array(random(1, 1, 3, 3, 3))
    assert mx.array_equal(whole(again.decode(z)), whole(ours.decode(z)))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_temporal_decoder(layers):
    config = dict(
        block_out_channels=[32, 64], layers_per_block=layers, latent_channels=3, scaling_factor=0.4
    )
    theirs = drawn(temporal_reference(config), seed=layers)
    ours = filled(AutoencoderKLTemporalDecoder(TemporalDecoderConfig(**config)), theirs)
    for frames, height, width in ((1, 4, 4), (5, 3, 7)):
        z = random(2, frames, height, width, 3)
        close(whole(ours.decode(mx.array(z))), their_frames(theirs, z, num_frames=frames))


def test_temporal_decoder_in_chunks_and_its_encoder(temporal):
    z = random(1, 7, 5, 3, 3)
    expected = np.concatenate(
        [their_frames(temporal[1], z[:, i : i + 3], num_frames=min(3, 7 - i)) for i in (0, 3, 6)],
        axis=1,
    )
    parts = list(temporal[0].decode(mx.array(z), chunk=3))
    assert all(part.shape == (1, 1, 10, 6, 3) for part in parts)
    close(whole(parts), expected)
    x = np.tanh(random(2, 3, 10, 13, 3))
    close(temporal[0].encode(mx.array(x)), their_latents(temporal[1], x))


@pytest.mark.parametrize(
    ("ours", "config", "theirs"),
    [
        (AutoencoderKL, AutoencoderKLConfig, reference),
        (AutoencoderKLTemporalDecoder, TemporalDecoderConfig, temporal_reference),
    ],
)
def test_every_tensor_of_the_real_size_has_its_place(ours, config, theirs):
    with torch.device("meta"):
        stored = theirs(REAL).state_dict()
    needed = {}
    for name, tensor in stored.items():
        shape = tuple(tensor.shape)
        needed[name] = (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else shape
    network = ours(config(**REAL))
    assert {name: value.shape for name, value in tree_flatten(network.parameters())} == needed


def peak(function) -> int:
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    function()
    return mx.get_peak_memory() - before


def run_through(parts) -> None:
    for _ in parts:
        pass


@pytest.mark.parametrize("kind", ["tiny", "temporal"])
def test_memory_does_not_grow_with_the_clip(kind, tiny, temporal, monkeypatch):
    monkeypatch.setattr(autoencoder_kl, "POSITIONS", 2 * 32 * 32)  # two frames at a time
    vae = (tiny if kind == "tiny" else temporal)[0]
    chunk = {} if kind == "tiny" else {"chunk": 4}
    side = 32 // vae.s_factor
    short = mx.array(random(1, 4, side, side, 3))
    long = mx.array(random(1, 16, side, side, 3))
    mx.eval(short, long)
    of_short = peak(lambda: run_through(vae.decode(short, **chunk)))
    of_long = peak(lambda: run_through(vae.decode(long, **chunk)))
    assert of_long < 1.05 * of_short
    frames = mx.array(np.tanh(random(1, 16, 32, 32, 3)))
    mx.eval(frames)
    of_long = peak(lambda: mx.eval(vae.encode(frames)))
    of_short = peak(lambda: mx.eval(vae.encode(frames[:, :4])))
    # The frames themselves, in the type that is computed in, and their latents.
    assert of_long - of_short < 12 * 32 * 32 * 3 * 4 + 20_000


def test_frames_in_batches_change_nothing(tiny, monkeypatch):
    x = mx.array(np.tanh(random(2, 5, 16, 12, 3)))
    z = mx.array(random(2, 5, 4, 3, 3))
    once = whole(tiny[0].decode(z))
    latents = tiny[0].encode(x)
    monkeypatch.setattr(autoencoder_kl, "POSITIONS", 2 * 2 * 16 * 12)
    parts = list(tiny[0].decode(z))
    assert [part.shape[1] for part in parts] == [2, 2, 1]
    assert mx.allclose(whole(parts), once, atol=1e-5)
    assert mx.allclose(tiny[0].encode(x), latents, atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(mx.bfloat16, 0.2), (mx.float16, 0.02)])
@pytest.mark.parametrize("kind", ["tiny", "temporal"])
def test_half_precision_weights_give_float32_results(kind, dtype, tolerance, request):
    ours = request.getfixturevalue(kind)[0]
    half = type(ours)(ours.config)
    half.update(ours.parameters())
    half.set_dtype(dtype)
    x = mx.array(np.tanh(random(1, 2, 16, 12, 3)))
    z = mx.array(random(1, 2, 4, 3, 3))
    close(half.encode(x), np.array(ours.encode(x)), tolerance)
    close(whole(half.decode(z)), np.array(whole(ours.decode(z))), tolerance)


def test_float16_weights_do_not_overflow(tiny):
    """The first convolution gives values up to 1e6, which the norms after it bring down again."""
    half = AutoencoderKL(tiny[0].config)
    half.update(tiny[0].parameters())
    half.decoder.conv_in.weight = half.decoder.conv_in.weight * 1e4
    half.set_dtype(mx.float16)
    assert mx.isfinite(whole(half.decode(mx.array(random(1, 1, 4, 4, 3)) * 40))).all()


@pytest.mark.parametrize(
    ("config", "sizes", "says"),
    [
        (AutoencoderKLConfig, {"block_out_channels": []}, "block_out_channels"),
        (AutoencoderKLConfig, {"block_out_channels": [32, "64"]}, "block_out_channels"),
        (AutoencoderKLConfig, {"block_out_channels": [32, 40]}, "multiples of 32"),
        (AutoencoderKLConfig, {"layers_per_block": 0}, "layers_per_block"),
        (AutoencoderKLConfig, {"latent_channels": -4}, "latent_channels"),
        (AutoencoderKLConfig, {"norm_num_groups": 0}, "norm_num_groups"),
        (AutoencoderKLConfig, {"act_fn": "gelu"}, "act_fn"),
        (AutoencoderKLConfig, {"scaling_factor": 0.0}, "scaling_factor"),
        (AutoencoderKLConfig, {"scaling_factor": float("nan")}, "scaling_factor"),
        (TemporalDecoderConfig, {"use_post_quant_conv": True}, "use_post_quant_conv"),
        (TemporalDecoderConfig, {"in_channels": True}, "in_channels"),
    ],
)
def test_impossible_sizes_are_refused(config, sizes, says):
    with pytest.raises(ValueError, match=says):
        config(**sizes)
    with pytest.raises(WeightsError, match=f"vae/config.json .*{says}.*download or convert"):
        from_json(config, sizes, Path("vae/config.json"))
