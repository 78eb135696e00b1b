"""Open-Sora's release, whose parts are in several repositories, and parts that don't belong
together.
"""

from __future__ import annotations

import json
import os
import shutil

import pytest

import mlxvid
from mlxvid.catalog import CATALOG
from mlxvid.errors import ModelNotFoundError, WeightsError
from mlxvid.hub import assembly
from mlxvid.models import card_of
from tests.facts import facts

from . import tiny as tiny_opensora

SMALL = {"width": 48, "height": 32, "steps": 2, "frames": 5, "seed": 1}
CARD = CATALOG["opensora-1.2"]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The release's repositories as folders, by component, in place of downloads."""
    parts = tiny_opensora.write_parts(tmp_path / "hub")
    places = {
        (source.repository, source.revision): parts[name] for name, source in CARD.sources.items()
    }

    def download(repository, revision, patterns, watch):
        return places[repository, revision]

    monkeypatch.setattr(assembly, "download", download)
    return parts


def test_the_release_is_put_together_from_its_repositories(hub, own_cache):
    made = mlxvid.load("opensora-1.2").model.path
    assert made.parent == own_cache / "models"
    assert sorted(os.listdir(made)) == ["model_index.json", "text_encoder", "transformer", "vae"]
    for name, path in hub.items():
        assert os.listdir(made / name)
        for file in os.listdir(path):
            assert (made / name / file).readlink() == path / file


def test_it_is_put_together_once_and_found_by_its_repository_too(hub, own_cache):
    made = mlxvid.load("opensora-1.2").model.path
    again = mlxvid.load("hpcai-tech/OpenSora-STDiT-v3").model.path
    assert again == made
    assert os.listdir(own_cache / "models") == [made.name]


def test_it_makes_the_clips_of_the_same_parts_in_one_folder(hub, folder):
    pipe = mlxvid.load("opensora-1.2")
    clip = pipe.generate("a star", **SMALL)
    assert clip.settings["model"] == "opensora-1.2"
    expected = mlxvid.load(str(folder)).generate("a star", **SMALL)
    assert (clip.frames == expected.frames).all()
    assert pipe.model.card.defaults == CARD.defaults


def test_where_no_links_can_be_made(hub, own_cache):
    own_cache.mkdir()
    (own_cache / "models").write_text("no folder")
    where = own_cache / "models"
    with pytest.raises(ModelNotFoundError, match=facts("opensora-1.2", where, "MLXVID_CACHE")):
        mlxvid.load("opensora-1.2")
    assert os.listdir(own_cache) == ["models"]


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("transformer", {"caption_channels": 32}, ("different models", "download or convert")),
        ("vae", {"embed_dim": 8}, ("different models", "download or convert")),
        ("text_encoder", {"d_model": 64}, ("different models", "download or convert")),
        ("vae", {"micro_frame_size": 16}, ("vae", "Open-Sora 1.2", "1 + 4k", "not 16")),
    ],
)
def test_parts_that_do_not_belong_together(folder, tmp_path, part, changes, words):
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / part / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(WeightsError, match=facts(copy, *words)):
        card_of(copy)


@pytest.mark.parametrize("kind", ["STDiT", "STDiT2"])
def test_transformers_of_other_versions_are_named(folder, tmp_path, kind):
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / "transformer" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": kind}))
    with pytest.raises(WeightsError, match=facts(copy, f"{kind},", "can't run", "opensora-1.2")):
        card_of(copy)
