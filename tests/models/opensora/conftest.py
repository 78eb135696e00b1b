"""What the tests of Open-Sora share: a tiny model, and short pieces of long clips."""

from __future__ import annotations

import pytest

import mlxvid
from mlxvid.models.opensora import geometry

from . import tiny as tiny_opensora


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with a tiny model."""
    return tiny_opensora.write_model(tmp_path_factory.mktemp("opensora") / "tiny")


@pytest.fixture
def pipe(folder):
    return mlxvid.load(str(folder))


@pytest.fixture
def short_pieces(monkeypatch):
    """Pieces of at most 34 frames."""
    monkeypatch.setattr(geometry, "LONGEST", ((10**9, 34),))
