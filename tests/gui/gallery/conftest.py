"""A library with three clips, and the gallery that shows it."""

from __future__ import annotations

import pytest

from mlxvid.gui.core.database import Database
from mlxvid.gui.gallery.panel import GalleryPanel
from tests.gui.clips import add


@pytest.fixture
def database(tmp_path, qapp):
    database = Database(tmp_path / "library.sqlite")
    yield database
    database.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"


@pytest.fixture
def ids(database, folder):
    """Three clips, the oldest first: a red ball, a blue star, a red star (a favourite)."""
    prompts = ("a red ball", "a blue star", "a red star")
    numbers = [
        add(database, folder / f"{prompt}.mp4", prompt, seed=seed)
        for seed, prompt in enumerate(prompts)
    ]
    database.set_favourites([numbers[2]], True)
    return numbers


@pytest.fixture
def panel(qtbot, database, preferences, tmp_path):
    panel = GalleryPanel(database, preferences, tmp_path / "stills")
    qtbot.addWidget(panel)
    panel.resize(520, 480)
    panel.show()
    panel.activateWindow()
    qtbot.waitExposed(panel)
    return panel
