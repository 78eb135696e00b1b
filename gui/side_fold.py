"""The side panel goes where a narrow window has no room for it, and comes back with the room."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMainWindow, QSplitter, QWidget

# Pixels of a window that has room for all; more where the text is large.
WIDE = 1000


class SideFold(QObject):
    """Watches the window's width. What the user shows or hides by the menu stays so until the
    window gets narrow the next time.

    shown: the menu's entry for the panel.
    """

    def __init__(self, window: QMainWindow, splitter: QSplitter, side: QWidget, shown: QAction):
        super().__init__(window)
        self._window = window
        self._splitter = splitter
        self._side = side
        self._shown = shown
        self._was_wide = True
        self.folded = False
        shown.triggered.connect(self._obey)
        window.installEventFilter(self)
        splitter.installEventFilter(self)

    @property
    def wanted(self) -> bool:
        """Whether the panel is shown, or would be if there were room."""
        return self._shown.isChecked() or self.folded

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._splitter and event.type() == QEvent.Type.LayoutRequest:
            self._limit()
        if watched is self._window and event.type() == QEvent.Type.Resize:
            self._limit()
            self._follow()
        return super().eventFilter(watched, event)

    def _limit(self) -> None:
        """Let the window become so narrow that the other panels just fit, and this one where it
        was asked for in a narrow window.
        """
        least = self._needed(side=self._shown.isChecked() and not self._was_wide)
        if self._window.minimumWidth() != least:
            self._window.setMinimumWidth(least)

    def _follow(self) -> None:
        wide = self._window.width() >= max(WIDE, self._needed())
        if wide == self._was_wide:
            return
        self._was_wide = wide
        if not wide and self._shown.isChecked():
            self.folded = True
            self._shown.setChecked(False)
        elif wide and self.folded:
            self.folded = False
            self._shown.setChecked(True)

    def _obey(self) -> None:
        self.folded = False
        self._limit()

    def _needed(self, side: bool = True) -> int:
        """The least width of the other panels that are shown, and of the side panel, in pixels."""
        width = 0
        panels = [self._splitter.widget(place) for place in range(self._splitter.count())]
        for panel in filter(None, panels):
            counts = side if panel is self._side else not panel.isHidden()
            if counts:
                least = panel.minimumWidth() or panel.minimumSizeHint().width()
                width += least + self._splitter.handleWidth()
        return width
