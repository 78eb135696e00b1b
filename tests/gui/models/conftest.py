"""A hub on this machine with a tiny model, and the model manager."""

from __future__ import annotations

import pytest
from huggingface_hub import constants

from mlxvid.gui.models.panel import ModelsPanel
from tests.hub.fake_hub import FakeHub, folder_files

from .steps import REPO


@pytest.fixture
def server(tmp_path, monkeypatch, tiny_folder):
    """A hub with the tiny model, for this process and the commands that it starts."""
    with FakeHub().serving() as server:
        cache = tmp_path / "hub"
        for name, value in {
            "HF_ENDPOINT": server.address,
            "HF_HUB_CACHE": str(cache),
            "OMP_NUM_THREADS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        server.add(REPO, folder_files(tiny_folder))
        yield server


@pytest.fixture
def panel(server, preferences, machine, qtbot, themed):
    panel = ModelsPanel(preferences, machine)
    qtbot.addWidget(panel)
    panel.said = []
    panel.told.connect(lambda notice: panel.said.append(notice.text))
    panel.resize(900, 560)
    panel.show()
    qtbot.waitUntil(lambda: panel.chosen() is not None)
    yield panel
    panel.shutdown()
