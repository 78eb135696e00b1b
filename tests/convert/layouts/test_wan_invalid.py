"""Releases of Wan 2.1 with something wrong: each is refused in one sentence that names it."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from mlxvid.convert import convert
from mlxvid.errors import WeightsError

from ..contents import assert_states
from . import wan_modules, wan_release
from .wan_release import TEXT_FILE, VAE_FILE, VISION_FILE

SHARD = wan_release.SHARDS[0]
PATCH = "patch_embedding.weight"  # which is in that shard


@pytest.fixture
def source(releases, tmp_path):
    """A copy of a release that takes an image, to break."""
    return shutil.copytree(releases["i2v"].source, tmp_path / "source")


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
        (VAE_FILE, ["no VAE of Wan 2.1 in SOURCE", VAE_FILE, "whole release"]),
        (TEXT_FILE, ["no UMT5 text encoder in SOURCE", TEXT_FILE, "whole release"]),
        (VISION_FILE, ["no CLIP image encoder in SOURCE", "models_clip_*.pth", "whole release"]),
        ("spiece.model", ["no tokenizer in SOURCE", "google/umt5-xxl", "whole release"]),
        (SHARD, [f"SOURCE/{SHARD} is missing", ".safetensors.index.json", "download"]),
        ("diffusion*", ["no transformer of Wan in SOURCE", "whole release"]),
    ],
)
def test_a_file_is_missing(pattern, facts, source, refused):
    for path in list(source.rglob(pattern)):
        path.unlink()
    refused(*facts)


def test_a_component_is_there_twice(source, refused):
    shutil.copy(source / VAE_FILE, source / "copy.pth")
    refused(f"{VAE_FILE} and copy.pth are both", "VAE of Wan 2.1 in SOURCE", "only one")


@pytest.mark.parametrize(
    "config", [dict(dim=1536, num_heads=2), dict(num_heads=5), dict(num_heads="x")]
)
def test_the_config_of_another_transformer(config, source, refused):
    (source / "config.json").write_text(json.dumps(config))
    refused("SOURCE/config.json does not match the transformer", "download both")


@pytest.mark.parametrize(
    ("file", "name", "value", "facts"),
    [
        (VAE_FILE, "encoder.conv1.bias", None, ["SOURCE lacks encoder.conv_in.bias"]),
        (VAE_FILE, "extra", torch.ones(2), ["SOURCE has no place for extra"]),
        (
            VAE_FILE,
            "conv2.weight",
            torch.ones(48, 48, 1, 1, 1),
            [f"conv2.weight in SOURCE/{VAE_FILE} has 48 latent channels", "has 16", "of Wan 2.1"],
        ),
        (
            VAE_FILE,
            "conv2.weight",
            torch.ones(16),
            [f"conv2.weight in SOURCE/{VAE_FILE} has the shape (16,)", "5 axes", "download"],
        ),
        (
            TEXT_FILE,
            "blocks.0.ffn.fc2.weight",
            None,
            ["no encoder.block.0.layer.1.DenseReluDense.wo.weight", f"SOURCE/{TEXT_FILE}"],
        ),
        (
            TEXT_FILE,
            "blocks.1.attn.q.weight",
            torch.ones(64, 60),
            [
                "encoder.block.1.layer.0.SelfAttention.q.weight in SOURCE",
                "(64, 60) where (64, 64) is needed",
            ],
        ),
        (
            VISION_FILE,
            "visual.transformer.1.attn.to_qkv.bias",
            torch.ones(479),
            [f"to_qkv.bias in SOURCE/{VISION_FILE} has the shape (479,)", "3 matrices"],
        ),
        (
            SHARD,
            PATCH,
            torch.ones(48, 36),
            [f"{PATCH} in SOURCE/{SHARD} has the shape (48, 36)", "5 axes", "download"],
        ),
        (
            TEXT_FILE,
            "norm.weight",
            torch.full((64,), float("nan")),
            [f"norm.weight in SOURCE/{TEXT_FILE} holds NaN or infinity", "download"],
        ),
    ],
)
def test_a_tensor_is_wrong(file, name, value, facts, source, refused):
    path = source / file
    is_torch = path.suffix == ".pth"
    tensors = torch.load(path) if is_torch else load_file(path)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    if is_torch:
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    refused(*facts)


def test_the_text_encoder_of_another_model(source, refused):
    sizes = {**wan_release.TINY_TEXT, "dim": 32}
    torch.save(wan_modules.text_encoder(**sizes).state_dict(), source / TEXT_FILE)
    refused("SOURCE come from different models", "whole release")
