"""Open-Sora 1.2 as released: three repositories' files in one folder, recognised by their tensors,
and the same model afterwards.
"""

from __future__ import annotations

import json
import logging
import shutil

import mlx.core as mx
import numpy as np
import pytest
import torch

import mlxvid
from mlxvid.catalog import CATALOG
from mlxvid.convert import convert
from mlxvid.errors import WeightsError
from mlxvid.hub import assembly as assemble
from tests.models.opensora import tiny as tiny_opensora

CLIP = {"width": 48, "height": 32, "frames": 5, "steps": 2, "seed": 1}


@pytest.fixture
def release(tmp_path):
    """The transformer and the VAE as they are released, and T5 in two PyTorch files with an index,
    as DeepFloyd has it.
    """
    parts = tiny_opensora.write_parts(tmp_path / "release")
    weights = {
        name: torch.from_numpy(np.array(array))
        for name, array in mx.load(str(parts["text_encoder"] / "model.safetensors")).items()
    }
    (parts["text_encoder"] / "model.safetensors").unlink()
    names = sorted(weights)
    shards = {
        "pytorch_model-00001-of-00002.bin": names[::2],
        "pytorch_model-00002-of-00002.bin": names[1::2],
    }
    for file, inside in shards.items():
        torch.save({name: weights[name] for name in inside}, parts["text_encoder"] / file)
    table = {"weight_map": {name: file for file, inside in shards.items() for name in inside}}
    (parts["text_encoder"] / "pytorch_model.bin.index.json").write_text(json.dumps(table))
    return tmp_path / "release"


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A clip of the model as it is without converting."""
    folder = tiny_opensora.write_model(tmp_path_factory.mktemp("opensora") / "tiny")
    return mlxvid.load(str(folder)).generate("a star", **CLIP).frames


def test_a_release(release, frames, tmp_path, caplog):
    (release / "other").mkdir()
    mx.save_safetensors(str(release / "other" / "more.safetensors"), {"weight": mx.ones((2,))})
    with caplog.at_level(logging.INFO):
        out = convert(release, tmp_path / "out", "float32")
    assert caplog.messages[:2] == [
        "Recognised: Open-Sora 1.2.",
        "Left out: other/more.safetensors, which is no part of this model.",
    ]
    assert (mlxvid.load(str(out)).generate("a star", **CLIP).frames == frames).all()
    assert convert(out, tmp_path / "again", "bfloat16", quantize_text=0).is_dir()
    kinds = {p.parent.name: mx.load(str(p)) for p in (tmp_path / "again").glob("*/*.safetensors")}
    assert all(array.dtype == mx.float32 for array in kinds["vae"].values())
    assert all(array.dtype == mx.bfloat16 for array in kinds["transformer"].values())


def test_a_checkpoint_of_pytorch_under_any_name(release, frames, tmp_path):
    """As a training run leaves it: one .pt file, without a config, so that its sizes must be the
    released ones or it is refused.
    """
    weights = {
        n: torch.from_numpy(np.array(a))
        for n, a in mx.load(str(release / "transformer" / "model.safetensors")).items()
    }
    torch.save(weights, release / "transformer" / "ema.pt")
    (release / "transformer" / "model.safetensors").unlink()
    assert (
        mlxvid.load(str(convert(release, tmp_path / "out", "float32")))
        .generate("a star", **CLIP)
        .frames
        == frames
    ).all()
    (release / "transformer" / "config.json").unlink()
    with pytest.raises(
        WeightsError, match="its config.json belongs to other weights|has no place for|lacks"
    ):
        convert(release, tmp_path / "other", "float32")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (
            "vae",
            "There is no VAE in FOLDER (hpcai-tech/OpenSora-VAE-v1.2); download it into a folder beside the others.",
        ),
        (
            "text_encoder",
            "There is no text encoder in FOLDER (DeepFloyd/t5-v1_1-xxl); download it into a folder beside the others.",
        ),
        (
            "spiece",
            "There is no tokenizer in FOLDER (spiece.model of DeepFloyd/t5-v1_1-xxl); download it into a folder beside the others.",
        ),
    ],
)
def test_a_release_without_a_part(release, tmp_path, part, sentence):
    if part == "spiece":
        (release / "text_encoder" / "spiece.model").unlink()
    else:
        shutil.rmtree(release / part)
    with pytest.raises(WeightsError) as caught:
        convert(release, tmp_path / "out")
    assert (
        str(caught.value).replace(str(release), "FOLDER") == sentence
        and not (tmp_path / "out").exists()
    )


def test_the_catalog_s_model(release, frames, tmp_path, monkeypatch):
    """Its repositories are put together as for loading, PyTorch's files included."""
    entry = CATALOG["opensora-1.2"]
    places = {entry.repo: "transformer", **{repo: name for name, (repo, _) in entry.parts.items()}}
    monkeypatch.setattr(
        assemble, "download", lambda repo, revision, patterns, watch: release / places[repo]
    )
    out = convert("opensora-1.2", tmp_path / "out", "float32")
    assert (mlxvid.load(str(out)).generate("a star", **CLIP).frames == frames).all()
