"""What tests of the model manager do with it."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel

from mlxvid.gui.models.survey import ModelRow

REPO = "org/tiny"
VAE = "vae/diffusion_pytorch_model.safetensors"


def error_label(panel) -> QLabel:
    """Where the details say what went wrong."""
    return panel.details.findChild(QLabel, "job-error")


def ended(panel, qtbot) -> str:
    """The message with which a job ended, once the panel has surveyed the disk again."""
    with qtbot.waitSignal(panel.manager.surveyed, timeout=30_000):
        qtbot.waitUntil(lambda: bool(panel.said), timeout=30_000)
    return panel.said.pop()


def entries(panel) -> dict[str, QAction]:
    """What the menu of the selected model has."""
    return {action.text(): action for action in panel.menu().actions()}


def choose(panel, entry: str) -> None:
    entries(panel)[entry].trigger()


def download(panel, qtbot) -> ModelRow:
    panel.get_repository(REPO)
    assert ended(panel, qtbot) == "org/tiny is downloaded."
    return panel.chosen()
