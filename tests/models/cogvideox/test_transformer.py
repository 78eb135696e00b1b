"""CogVideoX's transformer against Diffusers': every release's form, at sizes of any kind."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.errors import SettingError, WeightsError
from mlxvid.layers import bounds, processor
from mlxvid.model.folder import from_json
from mlxvid.models.cogvideox.config import CogVideoXConfig
from mlxvid.models.cogvideox.positions import fitted
from mlxvid.models.cogvideox.transformer import CogVideoXTransformer3DModel
from mlxvid.weights.reading import fill
from tests.facts import facts

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

TOLERANCE = 1e-4
TINY = dict(
    num_attention_heads=3,
    attention_head_dim=16,
    in_channels=5,
    out_channels=5,
    time_embed_dim=20,
    text_embed_dim=12,
    num_layers=2,
    sample_width=12,
    sample_height=8,
    sample_frames=9,
    max_text_seq_length=7,
)
ROTARY = dict(use_rotary_positional_embeddings=True)
IN_TIME = dict(**ROTARY, patch_size_t=2, patch_bias=False, sample_width=40, sample_height=40)
PICTURE = dict(in_channels=10)
VARIANTS: dict[str, dict[str, Any]] = {
    "2b": TINY,
    "2b, other scales": {
        **TINY,
        "spatial_interpolation_scale": 1.3,
        "temporal_interpolation_scale": 0.7,
        "norm_eps": 1e-2,
    },
    "no biases": {**TINY, **ROTARY, "attention_bias": False, "patch_bias": False},
    "5b": {**TINY, **ROTARY},
    "5b-i2v": {**TINY, **ROTARY, **PICTURE, "use_learned_positional_embeddings": True},
    "1.5": {**TINY, **IN_TIME},
    "1.5-i2v": {**TINY, **IN_TIME, **PICTURE, "ofs_embed_dim": 20},
}
# [F, H, W] of the latents: the training's, wide, high, larger.
GRIDS = [(3, 8, 12), (2, 6, 14), (5, 14, 4), (1, 16, 18)]

_5B = dict(num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True)
_15 = dict(**_5B, patch_size_t=2, sample_height=300, sample_width=300, sample_frames=81)
_15["patch_bias"] = False
# Config, parameters, tensors.
RELEASES = {
    "2b": (dict(num_attention_heads=30, num_layers=30), 1_693_783_872, 736),
    "5b": (_5B, 5_570_283_072, 1024),
    "5b-i2v": (
        {**_5B, "in_channels": 32, "use_learned_positional_embeddings": True},
        5_625_087_552,
        1025,
    ),
    "1.5": (_15, 5_570_676_352, 1024),
    "1.5-i2v": ({**_15, "in_channels": 32, "ofs_embed_dim": 512}, 5_571_594_880, 1028),
}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def twins(config: dict[str, Any]):
    """The same random weights in both, norms, biases and learned positions included."""
    theirs = diffusers.CogVideoXTransformer3DModel(**config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            scale = tensor[0].numel() ** -0.5 if tensor.ndim in (2, 4) else 0.3
            offset = 1 if "norm" in name and name.endswith("weight") and tensor.ndim == 1 else 0
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale + offset)
    ours = CogVideoXTransformer3DModel(CogVideoXConfig(**config))
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), Path("the twin"))
    return ours, theirs


def inputs(config: dict[str, Any], grid: tuple[int, ...]) -> list[np.ndarray]:
    """Two clips' latents, timesteps and texts."""
    frames = grid[0] + grid[0] % (config.get("patch_size_t") or 1)
    return [
        random(2, frames, *grid[1:], config["in_channels"], seed=1),
        np.array([999, 42], np.int32),
        random(2, config["max_text_seq_length"], config["text_embed_dim"], seed=2),
    ]


def tables(theirs, config: dict[str, Any], frames: int, height: int, width: int):
    """The rotary tables that the reference's pipeline makes for latents of that size."""
    if not config.get("use_rotary_positional_embeddings"):
        return None
    pipe = diffusers.CogVideoXPipeline.__new__(diffusers.CogVideoXPipeline)
    # Of the pipeline only this method is used, with what it asks for.
    object.__setattr__(pipe, "vae_scale_factor_spatial", 8)
    object.__setattr__(pipe, "transformer", theirs)
    return pipe._prepare_rotary_positional_embeddings(
        8 * height, 8 * width, frames, torch.device("cpu")
    )


def reference(theirs, config: dict[str, Any], x, timestep, text) -> np.ndarray:
    more = {"ofs": torch.tensor([2.0])} if config.get("ofs_embed_dim") else {}
    with torch.no_grad():
        (y,) = theirs(
            torch.from_numpy(x).permute(0, 1, 4, 2, 3),
            torch.from_numpy(text),
            torch.from_numpy(timestep).long(),
            image_rotary_emb=tables(theirs, config, *x.shape[1:4]),
            return_dict=False,
            **more,
        )
    return y.permute(0, 1, 3, 4, 2).numpy()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_transformer(variant, grid):
    config = VARIANTS[variant]
    if "use_learned_positional_embeddings" in config:
        grid = (3, 8, 12)
    ours, theirs = twins(config)
    given = inputs(config, grid)
    expected = reference(theirs, config, *given)
    y = np.array(ours(*map(mx.array, given)))
    assert y.shape == expected.shape and expected.std() > 0.01
    assert np.abs(y - expected).max() < TOLERANCE


def test_a_shorter_clip_has_the_first_frames_positions():
    """The original release's way: the reference would take sines, which the model never saw."""
    config = VARIANTS["5b-i2v"]
    ours, theirs = twins(config)
    x, timestep, text = inputs(config, (1, 8, 12))
    table = theirs.patch_embed.pos_embedding
    theirs.patch_embed._get_positional_embeddings = lambda *_, **__: table[:, : 7 + 4 * 6]
    expected = reference(theirs, config, x, timestep, text)
    y = np.array(ours(*map(mx.array, (x, timestep, text))))
    assert np.abs(y - expected).max() < TOLERANCE


@pytest.mark.parametrize("grid", [(3, 8, 14), (3, 6, 12), (4, 8, 12)])
def test_clips_without_learned_positions_are_refused(grid):
    config = VARIANTS["5b-i2v"]
    network = CogVideoXTransformer3DModel(CogVideoXConfig(**config))
    with pytest.raises(SettingError, match=facts("3 latent frames of 4x6", "`width`", "`frames`")):
        network(*map(mx.array, inputs(config, grid)))


def test_a_step_in_parts_is_the_same(monkeypatch):
    config = VARIANTS["1.5-i2v"]
    ours, _ = twins(config)
    given = [mx.array(value) for value in inputs(config, (4, 8, 6))]
    whole = ours(*given)
    monkeypatch.setattr(processor, "PART", 500)
    monkeypatch.setattr(processor, "QUERIES", 1)
    monkeypatch.setattr(bounds._Bound, "ops", 1e5)
    assert mx.abs(ours(*given) - whole).max() < 1e-5


def test_half_precision_is_near():
    config = VARIANTS["5b"]
    ours, _ = twins(config)
    given = [mx.array(value) for value in inputs(config, (3, 8, 12))]
    whole = ours(*given)
    for dtype, tolerance in ((mx.float16, 0.02), (mx.bfloat16, 0.15)):
        ours.set_dtype(dtype)
        half = ours(*given)
        assert half.dtype == dtype
        assert mx.abs(half - whole).max() < tolerance


def test_the_training_s_grid_is_itself():
    rows, columns = fitted((30, 45), (30, 45))
    assert np.array_equal(rows, np.arange(30)) and np.array_equal(columns, np.arange(45))


@pytest.mark.parametrize("name", RELEASES)
def test_inventory(name):
    config, parameters, tensors = RELEASES[name]
    with torch.device("meta"):
        theirs = diffusers.CogVideoXTransformer3DModel(**config).state_dict()
    assert sum(tensor.numel() for tensor in theirs.values()) == parameters
    assert len(theirs) == tensors
    network = CogVideoXTransformer3DModel(from_json(CogVideoXConfig, config, Path("config.json")))
    wanted = network.sanitize({n: mx.zeros(tuple(value.shape)) for n, value in theirs.items()})
    assert {n: tensor.shape for n, tensor in tree_flatten(network.parameters())} == {
        n: tensor.shape for n, tensor in wanted.items()
    }


def test_what_is_quantized():
    network = CogVideoXTransformer3DModel(CogVideoXConfig(**VARIANTS["1.5-i2v"]))
    linear = {n: m for n, m in network.named_modules() if isinstance(m, nn.Linear)}
    chosen = {n.split(".", 2)[2] for n, m in linear.items() if network.quantizable(n, m)}
    left = [m.weight.size + m.bias.size for n, m in linear.items() if ".norm" in n]
    assert sum(left) == network.config.modulation
    attn = {f"attn1.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0")}
    assert chosen == attn | {"ff.net.0.proj", "ff.net.2"}


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"activation_fn": "geglu"}, "activation_fn is 'geglu'"),
        ({"flip_sin_to_cos": False}, "flip_sin_to_cos"),
        ({"use_learned_positional_embeddings": True}, "learned positions"),
        ({"attention_head_dim": 12}, "heads of 12 channels"),
        ({"ofs_embed_dim": 18}, "ofs_embed_dim is 18"),
    ],
)
def test_a_model_of_another_form_is_refused(change, fact):
    with pytest.raises(WeightsError, match=facts("config.json", fact)):
        from_json(CogVideoXConfig, {**TINY, **change}, Path("config.json"))
