"""Lines of work under way, over the lower edge of the picture."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget


class Lines(QWidget):
    """Lines below each other; it is there while one of them is."""

    def __init__(self, *lines: QWidget):
        super().__init__()
        self.setProperty("role", "notices")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._lines = lines
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        for line in lines:
            layout.addWidget(line)
            line.installEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent):
            self.setVisible(any(not line.isHidden() for line in self._lines))
        return False
