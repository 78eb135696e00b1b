"""The frame of a card, and its parts."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QSizePolicy, QVBoxLayout

from mlxvid.gui.widgets.theme import faint_label, set_role


class Card(QFrame):
    """A heading, a line below it, and what one can do."""

    def __init__(self, heading: str, line: str):
        super().__init__()
        set_role(self, "card")
        self.setAccessibleName(heading)
        title = QLabel(heading)
        set_role(title, "heading")
        self.line = faint_label(line)
        self.line.setWordWrap(True)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(18, 14, 18, 16)
        self.column.setSpacing(4)
        self.column.addWidget(title)
        self.column.addWidget(self.line)
        self.column.addSpacing(6)


def link(text: str) -> QPushButton:
    """A button that looks like a line of text."""
    button = QPushButton(text)
    set_role(button, "link")
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    return button
