"""The window's size, its columns and which panels are shown, from one start to the next."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMainWindow, QSplitter

from mlxvid.gui.core.preferences import Preferences

# Widths to begin with, in pixels where the text is of 12.
_COMPOSE_WIDTH = 330
_SIDE_WIDTH = 290
# The stage's least width: what it shows must not push the panels, nor take more of a small window.
_STAGE_WIDTH = 440
_MOST_OF_STAGE = 560
_SIZE = (1440, 900)
_TITLE_BAR = 32


class WindowLayout:
    """Restores and keeps it. panels: the menu entries that show and hide them."""

    def __init__(
        self,
        window: QMainWindow,
        splitter: QSplitter,
        panels: Sequence[QAction],
        preferences: Preferences,
    ):
        self._window = window
        self._splitter = splitter
        self._panels = panels
        self._preferences = preferences

    def restore(self) -> None:
        """As it was kept; the first time as suits the screen and the font."""
        window = self._window
        scale = window.fontInfo().pixelSize() / 12
        stage = self._splitter.widget(1)
        assert stage is not None  # the window has put three there
        stage.setMinimumWidth(min(round(_STAGE_WIDTH * scale), _MOST_OF_STAGE))
        if not window.restoreGeometry(self._preferences.bytes("geometry")):
            room = window.screen().availableSize() - QSize(0, _TITLE_BAR)
            window.resize(QSize(*_SIZE).boundedTo(room))
        if not self._splitter.restoreState(self._preferences.bytes("splitter")):
            left = round(_COMPOSE_WIDTH * scale)
            right = round(_SIDE_WIDTH * scale)
            self._splitter.setSizes([left, max(1, window.width() - left - right), right])
        shown = self._preferences.recall("panels", [])
        for panel, visible in zip(self._panels, shown, strict=False):
            panel.setChecked(bool(visible))

    def keep(self, shown: Sequence[bool]) -> None:
        """Keep it. shown: which panels the user wants to see."""
        self._preferences.set_bytes("geometry", self._window.saveGeometry())
        self._preferences.set_bytes("splitter", self._splitter.saveState())
        self._preferences.remember("panels", list(shown))
