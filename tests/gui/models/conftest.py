"""A hub on this machine with a tiny model, and the model manager."""

from __future__ import annotations

import pytest

from mlxvid.gui.models.panel import ModelsPanel
from tests.hub.fake_hub import folder_files

from .steps import REPO


@pytest.fixture
def server(hub, tiny_folder):
    """A hub with the tiny model."""
    hub.add(REPO, folder_files(tiny_folder))
    return hub


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
