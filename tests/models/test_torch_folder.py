"""Families whose weights are PyTorch's files make the same clips, bit for bit."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import mlxvid
from mlxvid.catalog import CATALOG
from mlxvid.hub import assembly
from mlxvid.weights import in_parts
from tests.models.latte import tiny as tiny_latte
from tests.models.opensora import tiny as tiny_opensora
from tests.weights.torch_folder import rewrite

CLIPS = {
    "latte": dict(prompt="a red ball", width=48, height=32, steps=2, seed=1),
    "opensora": dict(prompt="a star", width=48, height=32, frames=5, steps=2, seed=1),
}


FORMS = {
    "zip": dict(form="zip"),
    "legacy": dict(form="legacy", ending="pth"),
    "sharded": dict(names=3),
    "sharded legacy": dict(names=2, form="legacy", ending="pt"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny model of two families in safetensors."""
    home = tmp_path_factory.mktemp("models")
    tiny_latte.pipeline().save_pretrained(home / "latte")
    return {"latte": home / "latte", "opensora": tiny_opensora.write_model(home / "opensora")}


@pytest.fixture(scope="module")
def frames(folders):
    """What they make."""
    return {
        name: mlxvid.load(str(folder)).generate(**CLIPS[name]).frames
        for name, folder in folders.items()
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", CLIPS)
def test_the_same_clip_as_from_safetensors(family, form, folders, frames, tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "LOAD_BYTES", 20_000)  # so that it takes several parts
    copy = rewrite(shutil.copytree(folders[family], tmp_path / "copy"), **FORMS[form])
    assert not list(copy.rglob("*.safetensors"))
    assert np.array_equal(mlxvid.load(str(copy)).generate(**CLIPS[family]).frames, frames[family])


def test_parts_as_they_are_released_put_together(folders, frames, tmp_path, monkeypatch):
    """The catalog's Open-Sora, if all of its repositories had only PyTorch's files."""
    card = CATALOG["opensora-1.2"]
    release = rewrite(shutil.copytree(folders["opensora"], tmp_path / "release"))
    shutil.copy(release / "tokenizer" / "spiece.model", release / "text_encoder")
    places = {source.repository: name for name, source in card.sources.items()}

    def download(repository, revision, patterns, watch):
        return release / places[repository]

    monkeypatch.setattr(assembly, "download", download)
    made = mlxvid.load("opensora-1.2").generate(**CLIPS["opensora"]).frames
    assert np.array_equal(made, frames["opensora"])
