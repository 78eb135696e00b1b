"""Open-Sora 1.2 as released: three repositories' files in one folder become the same model."""

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
from mlxvid.hub import assembly
from tests.models.opensora import tiny as tiny_opensora

from ..contents import assert_states, dtypes_in

SETTINGS = {"width": 48, "height": 32, "frames": 5, "steps": 2, "seed": 1}


def frames_of(folder):
    return mlxvid.load(str(folder)).generate("a star", **SETTINGS).frames


def torch_weights(path):
    """The tensors of a safetensors file in PyTorch."""
    weights = {}
    for name, array in mx.load(str(path)).items():
        weights[name] = torch.from_numpy(np.array(array))
    return weights


@pytest.fixture
def release(tmp_path):
    """The released transformer and VAE, and T5 as DeepFloyd has it: two PyTorch files, an index."""
    parts = tiny_opensora.write_parts(tmp_path / "release")
    folder = parts["text_encoder"]
    weights = torch_weights(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    weight_map = {}
    for n in range(2):
        shard = f"pytorch_model-0000{n + 1}-of-00002.bin"
        torch.save({name: weights[name] for name in names[n::2]}, folder / shard)
        weight_map.update(dict.fromkeys(names[n::2], shard))
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    return tmp_path / "release"


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A clip of the model as it is without converting."""
    return frames_of(tiny_opensora.write_model(tmp_path_factory.mktemp("opensora") / "tiny"))


def test_a_release(release, frames, tmp_path, caplog):
    (release / "other").mkdir()
    mx.save_safetensors(str(release / "other" / "more.safetensors"), {"weight": mx.ones((2,))})
    with caplog.at_level(logging.INFO):
        out = convert(release, tmp_path / "out", "float32")
    recognised, left_out = caplog.messages[:2]
    assert "Open-Sora 1.2" in recognised
    assert left_out.startswith("Left out: other/more.safetensors")
    assert (frames_of(out) == frames).all()
    again = convert(out, tmp_path / "again", "bfloat16", quantize_text=0)
    assert dtypes_in(again / "vae") == {mx.float32}
    assert dtypes_in(again / "transformer") == {mx.bfloat16}


def test_a_checkpoint_of_pytorch_under_any_name(release, frames, tmp_path):
    """As a training run leaves it: one .pt file.

    Without a config, its sizes must be the released ones or it is refused.
    """
    folder = release / "transformer"
    torch.save(torch_weights(folder / "model.safetensors"), folder / "ema.pt")
    (folder / "model.safetensors").unlink()
    assert (frames_of(convert(release, tmp_path / "out", "float32")) == frames).all()
    (folder / "config.json").unlink()
    with pytest.raises(
        WeightsError, match="its config.json belongs to other weights|has no place for|lacks"
    ):
        convert(release, tmp_path / "other", "float32")
    assert not (tmp_path / "other").exists()


def test_a_text_encoder_without_its_config(release, frames, tmp_path):
    """Its sizes are read from its tensors."""
    path = release / "text_encoder" / "config.json"
    expected = json.loads(path.read_text())
    path.unlink()
    out = convert(release, tmp_path / "out", "float32")
    config = json.loads((out / "text_encoder" / "config.json").read_text())
    assert config["architectures"] == ["T5EncoderModel"]
    assert config["model_type"] == "t5" and config["scalable_attention"] is False
    for name in tiny_opensora.TEXT:
        assert config[name] == expected[name], name
    assert (frames_of(out) == frames).all()


@pytest.mark.parametrize(
    ("missing", "facts"),
    [
        ("vae", ["no VAE", "hpcai-tech/OpenSora-VAE-v1.2"]),
        ("text_encoder", ["no text encoder", "DeepFloyd/t5-v1_1-xxl"]),
        ("text_encoder/spiece.model", ["no tokenizer", "spiece.model of DeepFloyd/t5-v1_1-xxl"]),
    ],
)
def test_a_release_without_a_component(missing, facts, release, tmp_path):
    path = release / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(WeightsError) as error:
        convert(release, tmp_path / "out")
    assert_states(error.value, *facts, str(release), "beside the others")
    assert not (tmp_path / "out").exists()


def test_the_model_of_the_catalog(release, frames, tmp_path, monkeypatch):
    """Its repositories are put together as for loading, PyTorch's files included."""
    places = {}
    for name, source in CATALOG["opensora-1.2"].sources.items():
        places[source.repository] = name

    def download(repo, revision, patterns, watch):
        return release / places[repo]

    monkeypatch.setattr(assembly, "download", download)
    out = convert("opensora-1.2", tmp_path / "out", "float32")
    assert (frames_of(out) == frames).all()
