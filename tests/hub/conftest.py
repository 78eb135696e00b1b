"""A hub on this machine with a tiny model, and a client with an empty cache."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import constants

from mlxvid.hub import transfer

from .fake_hub import FakeHub, folder_files
from .tiny_repository import DECOYS, REPO


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A hub, and a client with an empty cache that knows no other."""
    with FakeHub().serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            server.address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(transfer, "PAUSE", 0.01)
        yield server


@pytest.fixture
def model(tiny_folder):
    """The tiny model's files, and what lies beside such files on the hub."""
    files = {**folder_files(tiny_folder), **DECOYS}
    index = json.loads(files["model_index.json"])
    parts = {
        name: ["mlxvid", "Network"] for name in ("vae", "text_encoder", "tokenizer", "transformer")
    }
    return {
        **files,
        "model_index.json": json.dumps({**index, **parts, "safety_checker": [None, None]}).encode(),
    }


@pytest.fixture
def commit(server, model):
    return server.add(REPO, model)
