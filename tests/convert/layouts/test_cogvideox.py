"""CogVideoX as its authors released it: converted without PyTorch, tensor for tensor."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import mlx.core as mx
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
from torch import nn

from mlxvid.convert import convert
from mlxvid.convert.fitting import write_plan
from mlxvid.convert.layouts import cogvideox, cogvideox_transformer
from mlxvid.convert.release import WeightFile
from mlxvid.errors import WeightsError
from mlxvid.models import card_of
from mlxvid.models.cogvideox.card import FAMILY
from mlxvid.weights import loading
from mlxvid.weights.tensors import Tensor

from ..contents import assert_states, bytes_in
from . import cogvideox_release as tiny
from .test_wan import BLOCKED
from .torch_tensors import assert_same, tensors_in

# The scale and the shift that no tensor tells.
SCALES = {"2b": 1.15258426}
SHIFTS = {"2b": 3.0}
HEADS = 2


class Converted(NamedTuple):
    """A release, what it was made of, and the float32 folder that it is converted to."""

    source: Path
    modules: dict[str, nn.Module]
    out: Path


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> dict[str, Converted]:
    """A tiny release of each kind. What is told by the width, tiny models are told by others."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for kind in tiny.KINDS:
            folder = tmp_path_factory.mktemp(kind)
            source = folder / "source"
            modules = tiny.write_release(source, kind)
            patch.setattr(cogvideox_transformer, "ROTARY_WIDTH", 33 if kind == "2b" else 32)
            out = convert(source, folder / "out", "float32")
            made[kind] = Converted(source, modules, out)
    return made


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_every_tensor_is_the_same(kind, releases):
    _, modules, out = releases[kind]
    for name, module in modules.items():
        expected = dict(module.state_dict())
        expected.pop("encoder.embed_tokens.weight", None)
        ours = tensors_in(out / name)
        ours.pop("encoder.embed_tokens.weight", None)
        assert_same(ours, {key: tensor.float() for key, tensor in expected.items()})
    learned = "patch_embed.pos_embedding" in tensors_in(out / "transformer")
    assert learned == (kind == "5b-i2v")


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_the_configs_are_those_that_it_was_made_of(kind, releases):
    _, modules, out = releases[kind]
    theirs = CogVideoXTransformer3DModel.from_config(
        CogVideoXTransformer3DModel.load_config(out / "transformer")
    )
    expected = dict(modules["transformer"].config)
    expected.pop("_use_default_values", None)
    for key, value in expected.items():
        if not key.startswith("_"):
            assert theirs.config[key] == value, key
    vae = AutoencoderKLCogVideoX.load_config(out / "vae")
    assert vae["scaling_factor"] == SCALES.get(kind, 0.7)
    assert vae["invert_scale_latents"] == kind.startswith("1.5")
    assert vae["latent_channels"] == tiny.CHANNELS and vae["layers_per_block"] == 1
    assert vae["block_out_channels"] == [32, 32, 64, 64]
    scheduler = json.loads((out / "scheduler" / "scheduler_config.json").read_text())
    assert scheduler["_class_name"] == (
        "CogVideoXDDIMScheduler" if kind == "2b" else "CogVideoXDPMScheduler"
    )
    assert scheduler["snr_shift_scale"] == SHIFTS.get(kind, 1.0)
    assert scheduler["prediction_type"] == "v_prediction" and scheduler["rescale_betas_zero_snr"]
    assert (scheduler["beta_start"], scheduler["beta_end"]) == (0.00085, 0.012)
    assert scheduler["timestep_spacing"] == "trailing"


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_mlxvid_loads_every_component(kind, releases):
    out = releases[kind].out
    card = card_of(out)
    assert card.needs == ({"image"} if kind.endswith("i2v") else set())
    index = json.loads((out / "model_index.json").read_text())
    components = loading.Components(card)
    for name, part in card.family.parts.items():
        network = components.network(name, part)
        mx.eval(network.parameters())
        assert index[name][1] == type(network).__name__
    assert (out / "tokenizer" / "spiece.model").read_bytes() == b"pieces"


def test_torch_is_not_needed(releases, tmp_path):
    out = tmp_path / "out"
    arguments = [str(releases["1.5-i2v"].source), "--out", str(out), "--dtype", "float32"]
    command = [sys.executable, "-c", BLOCKED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert bytes_in(out) == bytes_in(releases["1.5-i2v"].out)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_in_float16_says_so(dtype, releases, tmp_path, caplog):
    """As 2B is released; the others are in bfloat16."""
    source = shutil.copytree(releases["1.5"].source, tmp_path / "source")
    path = source / tiny.TRANSFORMER_FILE
    module = torch.load(path)["module"]
    torch.save({"module": {name: value.to(dtype) for name, value in module.items()}}, path)
    caplog.set_level("INFO", "mlxvid")
    name = str(dtype).removeprefix("torch.")
    out = convert(source, tmp_path / "out", name)
    assert {tensor.dtype for tensor in tensors_in(out / "transformer").values()} == {dtype}
    assert {tensor.dtype for tensor in tensors_in(out / "vae").values()} == {torch.float32}
    assert any("is in float16" in note for note in caplog.messages) == (name == "float16")


# --- the released sizes --------------------------------------------------------------------------

REAL = {
    "2b": (dict(), 1.7),
    "5b": (dict(num_attention_heads=48, num_layers=42), 5.6),
    "5b-i2v": (dict(num_attention_heads=48, num_layers=42), 5.6),
    "1.5": (dict(num_attention_heads=48, num_layers=42), 5.6),
    "1.5-i2v": (dict(num_attention_heads=48, num_layers=42, ofs_embed_dim=512), 5.6),
}


def stand_ins(tensors: dict[str, torch.Tensor], path: str, *inside: str) -> WeightFile:
    """A weight file with tensors on the meta device, which take no memory."""
    zero = np.float32(0)
    made = {}
    for name, tensor in tensors.items():
        made[name] = Tensor(np.broadcast_to(zero, tensor.shape), "float32", name)
    return WeightFile(path, made, inside)


@pytest.mark.parametrize("kind", REAL)
def test_every_tensor_of_the_real_releases_has_its_place(kind, releases, tmp_path):
    sizes, billions = REAL[kind]
    with torch.device("meta"):
        theirs = CogVideoXTransformer3DModel(**{**tiny.transformer_config(kind, 16), **sizes})
        vae = AutoencoderKLCogVideoX()
    (tmp_path / "spiece.model").write_bytes(b"pieces")
    original = tiny.original_transformer(theirs.state_dict())
    blocks = {}
    for name in [name for name in original if name.startswith("transformer.")]:
        blocks[name.removeprefix("transformer.")] = original.pop(name)
    text = tiny.tiny_text_encoder().state_dict()
    release = cogvideox.read_release(
        tmp_path,
        [
            stand_ins(original, "model.pt", "module"),
            stand_ins(blocks, "model.pt", "module", "transformer"),
            stand_ins(tiny.original_vae(vae.state_dict()), "vae.pt"),
            stand_ins(text, "text.safetensors"),
        ],
    )
    assert f"{billions} billion" in release.title and not release.notes
    for component, module in zip(release.components, (theirs, vae), strict=False):
        shapes = {key: tensor.shape for key, tensor in component.tensors.items()}
        assert shapes == {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
        for key, value in component.config.items():
            value = tuple(value) if isinstance(value, list) else value
            if key not in ("_class_name", "scaling_factor", "invert_scale_latents"):
                assert module.config[key] == value, key
    assert release.components[1].config["scaling_factor"] == SCALES.get(kind, 0.7)
    plan = write_plan(release.components[0], FAMILY, "bfloat16", 4)
    assert len(plan.quantized) == 6 * theirs.config.num_layers


# --- what is refused -----------------------------------------------------------------------------


@pytest.fixture
def source(releases, tmp_path):
    """A release to break."""
    return shutil.copytree(releases["1.5-i2v"].source, tmp_path / "source")


@pytest.fixture
def refused(source, tmp_path):
    """Asserts that converting `source`, SOURCE in the facts, is refused and writes nothing."""

    def check(*facts: str) -> None:
        with pytest.raises(WeightsError) as error:
            convert(source, tmp_path / "out")
        assert_states(str(error.value).replace(str(source), "SOURCE"), *facts)
        assert [path.name for path in tmp_path.iterdir()] == ["source"]

    return check


@pytest.mark.parametrize(
    ("pattern", "facts"),
    [
        ("*.pt", ["SOURCE holds weights of no model that mlxvid knows"]),
        ("mp_rank*", ["no transformer of CogVideoX in SOURCE", "mp_rank_00_model_states.pt"]),
        ("3d-vae.pt", ["no VAE of CogVideoX in SOURCE", "vae/3d-vae.pt"]),
        ("model.safetensors", ["no T5 encoder in SOURCE", "THUDM/CogVideoX-2b"]),
        ("spiece.model", ["no tokenizer in SOURCE", "spiece.model"]),
    ],
)
def test_a_file_is_missing(pattern, facts, source, refused):
    for path in list(source.rglob(pattern)):
        path.unlink()
    refused(*facts)


def test_both_models_of_a_repository(source, refused):
    """THUDM/CogVideoX1.5-5B-SAT has both."""
    tensors = tiny.original_transformer(tiny.tiny_transformer("1.5").state_dict())
    tiny.save_transformer(source / "t2v", tensors, "1.5")
    refused("are both", "transformer of CogVideoX in SOURCE", "only one")


@pytest.mark.parametrize(
    ("name", "value", "facts"),
    [
        ("transformer.layers.1.mlp.dense_4h_to_h.bias", None, ["lacks", "blocks.1.ff.net.2.bias"]),
        ("transformer.layers.0.cross_attention.dense.bias", torch.ones(2), ["has no place for"]),
        (
            "transformer.layers.0.attention.query_key_value.weight",
            torch.ones(95, 32),
            ["query_key_value.weight in SOURCE/transformer/1000", "(95, 32)", "3 matrices"],
        ),
        ("mixins.patch_embed.proj.weight", torch.ones(32, 8, 2), ["(32, 8, 2)", "4 axes"]),
        (
            "mixins.patch_embed.proj.weight",
            torch.ones(32, 33 * 8),
            ["SOURCE", "33 channels in and 4 out"],
        ),
        (
            "transformer.layers.0.attention.query_key_value.matrix_A.0",
            torch.ones(2, 32),
            ["SOURCE/transformer/1000", "LoRA", "matrix_A.0", "`loras`"],
        ),
    ],
)
def test_a_tensor_is_wrong(name, value, facts, source, refused):
    path = source / tiny.TRANSFORMER_FILE
    module = torch.load(path)["module"]
    if value is None:
        del module[tiny.PREFIX + name]
    else:
        module[tiny.PREFIX + name] = value
    torch.save({"module": module}, path)
    refused(*facts)
