"""Every tensor of the real releases of Wan 2.1 has its place: modules on the meta device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import WanTransformer3DModel

from mlxvid.convert import families
from mlxvid.convert.fitting import write_plan
from mlxvid.convert.layouts import wan
from mlxvid.convert.release import Release, WeightFile
from mlxvid.model.card import Family
from mlxvid.weights.tensors import Tensor

from . import wan_modules, wan_release

# Diffusers' own defaults are the text model of 14 billion parameters.
SMALL = dict(num_attention_heads=12, ffn_dim=8960, num_layers=30)
IMAGE = dict(in_channels=36, image_dim=1280, added_kv_proj_dim=5120)
FIRST_LAST = dict(**IMAGE, pos_embed_seq_len=514)


def stand_ins(module: torch.nn.Module, path: str) -> WeightFile:
    """A weight file with the tensors of a module on the meta device, which take no memory."""
    zero = np.float32(0)
    tensors = {}
    for name, parameter in module.state_dict().items():
        tensors[name] = Tensor(np.broadcast_to(zero, parameter.shape), "float32", name)
    return WeightFile(path, tensors)


def family_of(release: Release) -> Family:
    return families.family_of(release.index["_class_name"])


@pytest.fixture(scope="module")
def encoders() -> list[WeightFile]:
    """The VAE and the encoders, which all releases share."""
    with torch.device("meta"):
        vae = wan_modules.vae(96)
        text = wan_modules.text_encoder(**wan_release.REAL_TEXT)
        vision = wan_modules.clip(**wan_release.REAL_CLIP)
    return [
        stand_ins(vae, wan_release.VAE_FILE),
        stand_ins(text, wan_release.TEXT_FILE),
        stand_ins(vision, wan_release.VISION_FILE),
    ]


@pytest.mark.parametrize(
    ("name", "size", "kind", "config", "billions"),
    [
        ("Wan2.1-T2V-1.3B", "t2v-1.3b", "t2v", SMALL, 1.4),
        ("Wan2.1-T2V-14B", "14b", "t2v", {}, 14.3),
        ("Wan2.1-I2V-14B-480P", "14b", "i2v", IMAGE, 16.4),  # the 720p one has the same tensors
        ("Wan2.1-FLF2V-14B-720P", "14b", "flf2v", FIRST_LAST, 16.4),
    ],
)
def test_every_tensor_of_the_real_releases_has_its_place(
    name, size, kind, config, billions, encoders, tmp_path
):
    folder = tmp_path / name
    (folder / "google" / "umt5-xxl").mkdir(parents=True)
    (folder / "google" / "umt5-xxl" / "spiece.model").write_bytes(b"pieces")
    with torch.device("meta"):
        module = wan_modules.transformer(kind, **wan_release.REAL[size])
        theirs = WanTransformer3DModel(**config)
    file = stand_ins(module, "diffusion_pytorch_model.safetensors.index.json")
    release = wan.read_release(folder, [file, *encoders])
    assert f"{billions} billion" in release.title
    assert len(release.components) == (3 if kind == "t2v" else 4)

    transformer = release.components[0]
    shapes = {key: tensor.shape for key, tensor in transformer.tensors.items()}
    assert shapes == {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    expected = {"_class_name": "WanTransformer3DModel"}
    for key, value in theirs.config.items():
        if not key.startswith("_"):
            expected[key] = list(value) if isinstance(value, tuple) else value
    assert transformer.config == expected

    plan = write_plan(transformer, family_of(release), "bfloat16", 4)
    per_block = 10 if kind == "t2v" else 12
    assert len(plan.quantized) == wan_release.REAL[size]["layers"] * per_block


def test_every_tensor_of_the_encoders_has_its_place(encoders, tmp_path):
    (tmp_path / "spiece.model").write_bytes(b"pieces")
    with torch.device("meta"):
        module = wan_modules.transformer("flf2v", **wan_release.REAL["14b"])
    release = wan.read_release(tmp_path, [stand_ins(module, "model.safetensors"), *encoders])
    plans = {}
    for component in release.components:
        plans[component.name] = write_plan(component, family_of(release), "bfloat16", 4)
    assert plans.keys() == {"transformer", "vae", "text_encoder", "image_encoder"}
    assert len(plans["text_encoder"].quantized) == 24 * 7
