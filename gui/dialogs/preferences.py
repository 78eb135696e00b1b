"""The Settings window: the settings of the app itself, a page for each part of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QTabWidget, QVBoxLayout, QWidget

from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.preferences import Preferences

from .clips_page import ClipsPage
from .general_page import GeneralPage
from .generation_page import GenerationPage
from .models_page import ModelsPage


class PreferencesDialog(QDialog):
    """The app's settings; changes apply at once, so that there is nothing to confirm.

    current: gives the model and the settings that the window's fields show.
    """

    def __init__(
        self,
        preferences: Preferences,
        choices: Choices,
        current: Callable[[], dict[str, Any]],
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self.general = GeneralPage(preferences)
        self.clips = ClipsPage(preferences)
        self.generation = GenerationPage(preferences, choices, current)
        self.models = ModelsPage(preferences)
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        self.pages.tabBar().setDrawBase(False)
        for part in (self.pages, self.pages.tabBar()):
            part.setAccessibleName("Pages of the settings")
        self.pages.addTab(self.general, "General")
        self.pages.addTab(self.clips, "Clips")
        self.pages.addTab(self.generation, "Generation")
        self.pages.addTab(self.models, "Models")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.pages)
        QShortcut(QKeySequence("Ctrl+W"), self, self.close)
        self.setMinimumWidth(self.sizeHint().width() + 120)
