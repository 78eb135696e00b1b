"""Latte's transformer against Diffusers', and scripts/check_golden.py on golden data made of it."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.folder import from_json
from mlxvid.models.latte.config import LatteConfig
from mlxvid.models.latte.transformer import LatteTransformer3DModel
from mlxvid.weights.reading import fill
from scripts import check_golden
from tests.golden.files import channels_last

from .golden import watch

torch = pytest.importorskip("torch")
diffusers_latte = pytest.importorskip("diffusers.models.transformers.latte_transformer_3d")

FORM = dict(
    activation_fn="gelu-approximate",
    norm_type="ada_norm_single",
    norm_elementwise_affine=False,
    attention_bias=True,
)
TINY = dict(
    **FORM,
    num_attention_heads=3,
    attention_head_dim=8,
    in_channels=4,
    out_channels=8,
    num_layers=2,
    cross_attention_dim=24,
    sample_size=8,
    patch_size=2,
    norm_eps=1e-6,
    caption_channels=10,
    video_length=3,
)
LATTE_1 = dict(
    **FORM,
    num_attention_heads=16,
    attention_head_dim=72,
    in_channels=4,
    out_channels=8,
    num_layers=28,
    cross_attention_dim=1152,
    sample_size=64,
    patch_size=2,
    norm_eps=1e-6,
    caption_channels=4096,
    video_length=16,
)
TOLERANCE = 1e-4


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def reference(config: dict):
    """Diffusers' model with random weights: all of them, biases and tables included."""
    theirs = diffusers_latte.LatteTransformer3DModel(**config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            scale = 0.3 if parameter.ndim < 2 or "table" in name else parameter[0].numel() ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return theirs


def twin(theirs, config: dict) -> LatteTransformer3DModel:
    ours = LatteTransformer3DModel(LatteConfig(**config))
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), Path("the twin"))
    return ours


def inputs(frames: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two clips' latents, timesteps and texts."""
    return (
        random(2, frames, height, width, 4, seed=1),
        np.array([917, 42], np.int32),
        random(2, 7, 10, seed=2),
    )


def expected(theirs, x, timestep, text, temporal: bool = True) -> np.ndarray:
    with torch.no_grad():
        out = theirs(
            torch.from_numpy(x).permute(0, 4, 1, 2, 3),
            torch.from_numpy(timestep).long(),
            torch.from_numpy(text),
            enable_temporal_attentions=temporal,
            return_dict=False,
        )[0]
    return out.permute(0, 2, 3, 4, 1).numpy()


@pytest.mark.parametrize(
    ("config", "frames", "height", "width", "attention"),
    [
        (TINY, 3, 8, 8, "factored"),
        (TINY, 3, 6, 10, "factored"),
        (TINY, 3, 10, 2, "spatial"),
        (TINY, 1, 6, 10, "factored"),
        (TINY, 1, 6, 10, "spatial"),
        ({**TINY, "sample_size": 128, "norm_eps": 1e-2}, 3, 6, 4, "factored"),
        ({**TINY, "attention_bias": False, "out_channels": None}, 3, 4, 6, "factored"),
    ],
)
def test_transformer(config, frames, height, width, attention):
    theirs = reference(config)
    x, timestep, text = inputs(frames, height, width)
    wanted = expected(theirs, x, timestep, text, temporal=attention != "spatial")
    ours = twin(theirs, config)(*map(mx.array, (x, timestep, text)), attention)
    assert ours.shape == wanted.shape and wanted.std() > 0.01
    assert np.abs(np.array(ours) - wanted).max() < TOLERANCE


def test_full_attention_takes_a_clip_s_tokens_for_one_frame_s():
    network = twin(reference(TINY), TINY)
    x = mx.array(random(2, 3, 5, 24, seed=0))
    ada = mx.array(random(2, 6, 24, seed=1))
    text = mx.array(random(2, 7, 24, seed=2))
    block = network.transformer_blocks[0]
    whole = block(x, ada, "clip", text)
    one_frame = block(x.reshape(2, 1, 15, 24), ada, "space", text)
    assert mx.allclose(whole.reshape(2, 1, 15, 24), one_frame, atol=1e-6)
    assert mx.abs(whole - block(x, ada, "space", text)).max() > 0.01
    clip = [mx.array(value) for value in inputs(3, 4, 6)]
    assert mx.abs(network(*clip, "full") - network(*clip, "factored")).max() > 0.01


def test_a_clip_of_another_length_is_refused():
    network = LatteTransformer3DModel(LatteConfig(**TINY))
    with pytest.raises(SettingError) as error:
        network(*map(mx.array, inputs(2, 4, 4)))
    for fact in ("3 frames", "not 2"):
        assert fact in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"activation_fn": "geglu"},
        {"norm_type": "layer_norm"},
        {"norm_elementwise_affine": True},
        {"cross_attention_dim": 7},
    ],
)
def test_a_model_of_another_form_is_refused(change):
    with pytest.raises(WeightsError, match=r"^config.json .*activation, norms or cross-attention"):
        from_json(LatteConfig, {**TINY, **change}, Path("config.json"))


def test_every_tensor_of_latte_1():
    with torch.device("meta"):
        theirs = diffusers_latte.LatteTransformer3DModel(**LATTE_1)
    tensors = LatteTransformer3DModel.sanitize(
        {name: mx.zeros(tuple(value.shape)) for name, value in theirs.state_dict().items()}
    )
    wanted = {name: tensor.shape for name, tensor in tensors.items()}
    network = LatteTransformer3DModel(
        from_json(LatteConfig, {**LATTE_1, "num_embeds_ada_norm": 1000}, Path("config.json"))
    )
    assert {name: tensor.shape for name, tensor in tree_flatten(network.parameters())} == wanted
    assert sum(parameter.numel() for parameter in theirs.parameters()) == 1_057_246_880


def test_what_is_quantized():
    network = LatteTransformer3DModel(LatteConfig(**TINY))
    modules = network.named_modules()
    linear = {name: module for name, module in modules if isinstance(module, nn.Linear)}
    chosen = {name for name, module in linear.items() if network.quantizable(name, module)}
    assert {name.split(".")[0] for name in chosen} == {
        "transformer_blocks",
        "temporal_transformer_blocks",
    }
    assert {name.split(".")[0] for name in linear.keys() - chosen} == {
        "pos_embed",
        "adaln_single",
        "caption_projection",
        "proj_out",
    }


@pytest.fixture
def golden(tmp_path):
    """Golden data in the format of scripts/check_golden.py: a model, a clip and a picture."""
    theirs = reference(TINY)
    (tmp_path / "latte.config.json").write_text(json.dumps({**TINY, "seed": 1}))
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    mx.save_safetensors(str(tmp_path / "latte.weights.safetensors"), weights)
    for name, frames in (("case0", 3), ("image", 1)):
        x, timestep, text = inputs(frames, 6, 4)
        out = expected(theirs, x, timestep, text)
        case = {
            "in.x": mx.contiguous(mx.array(x.transpose(0, 4, 1, 2, 3))),
            "out": mx.contiguous(mx.array(out.transpose(0, 4, 1, 2, 3))),
            "in.timestep": mx.array(timestep),
            "in.encoder_hidden_states": mx.array(text),
        }
        mx.save_safetensors(str(tmp_path / f"latte.{name}.safetensors"), case)
    return tmp_path


def test_golden_data_that_agrees(golden, capsys):
    (golden / "notes.json").write_text("{}")
    assert check_golden.main([str(golden)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "not compared" in lines[0] and "notes.json" in lines[0]
    assert lines[1].split()[:2] == ["latte.case0", "out"]
    assert lines[2].split()[:2] == ["latte.image", "out"]
    assert lines[-1].startswith("worst: latte.") and lines[-1].endswith(" of 0.0001 ok")


def test_golden_data_that_differs(golden, capsys):
    path = golden / "latte.image.safetensors"
    case = dict(mx.load(str(path)))
    for spoiled in (case["out"] + 2e-4, case["out"] * float("nan"), case["out"][:1]):
        mx.save_safetensors(str(path), {**case, "out": spoiled})
        assert check_golden.main([str(golden)]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[-1] for line in lines] == ["ok", "FAR", "FAR"]
        assert lines[-1].startswith("worst: latte.image out ")
        assert lines[-1].endswith(" of 0.0001 TOO FAR")


def test_a_stage_that_is_no_number(golden, capsys):
    """NaN is neither more nor less than the stages before it."""
    path = golden / "latte.case0.safetensors"
    case = dict(mx.load(str(path)))
    network = twin(reference(TINY), TINY)
    stages = watch(network)
    network(
        channels_last(case["in.x"]),
        case["in.timestep"],
        case["in.encoder_hidden_states"],
    )
    case |= {f"mid.{name}": value for name, value in stages.items()}
    mx.save_safetensors(str(path), case)
    assert check_golden.main([str(golden)]) == 0
    assert f"latte.case0, {len(stages)} stages" in capsys.readouterr().out
    case["mid.temporal_1.out"] = case["mid.temporal_1.out"] * float("nan")
    mx.save_safetensors(str(path), case)
    assert check_golden.main([str(golden)]) == 1
    assert "worst temporal_1.out" in capsys.readouterr().out.splitlines()[-1]


def test_golden_data_that_can_t_be_read(golden, capsys):
    for name in ("latte.case0.safetensors", "latte.weights.safetensors", "latte.config.json"):
        whole = (golden / name).read_bytes()
        (golden / name).write_bytes(whole[: len(whole) // 2])
        assert check_golden.main([str(golden)]) == 1
        assert "latte*: can't be read or compared: " in capsys.readouterr().out
        (golden / name).write_bytes(whole)
    nowhere = str(golden / "nowhere")
    assert check_golden.main([nowhere]) == 1
    printed = capsys.readouterr().out
    assert nowhere in printed and "no golden data" in printed
