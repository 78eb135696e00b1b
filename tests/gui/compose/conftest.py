"""A compose panel, and what goes into it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.compose.wells import PictureWell


def complaints(panel: ComposePanel) -> list[str]:
    """What is said beside the fields."""
    return [complaint.text() for complaint in panel.complaints.values() if complaint.isVisible()]


@pytest.fixture
def until_read(qtbot):
    """A function that waits until the pictures of a well, or of all in a panel, are read."""

    def wait(widget) -> None:
        wells = [widget] if isinstance(widget, PictureWell) else widget.findChildren(PictureWell)
        qtbot.waitUntil(lambda: not any(well.busy for well in wells), timeout=20_000)

    return wait


@pytest.fixture
def make_panel(database, preferences, choices, qtbot):
    """A function that makes a panel; `messages` and `jobs` are what it has emitted."""

    def make(choices=choices) -> ComposePanel:
        panel = ComposePanel(database, choices, preferences)
        panel.messages = []
        panel.jobs = []
        panel.message.connect(panel.messages.append)
        panel.submit.connect(panel.jobs.extend)
        qtbot.addWidget(panel)
        panel.resize(330, 900)
        panel.show()
        return panel

    return make


@pytest.fixture
def panel(make_panel):
    return make_panel()


@pytest.fixture
def picture(home):
    path = home / "first.png"
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(path)
    return path
