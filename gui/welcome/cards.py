"""The frame of a card, and its parts."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QVBoxLayout,
)

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


class _Link(QPushButton):
    """A button that looks like a line of text, with an ellipsis where it has no room."""

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        metrics = self.fontMetrics()
        option.text = metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        QStylePainter(self).drawControl(QStyle.ControlElement.CE_PushButton, option)


def link(text: str) -> QPushButton:
    """A button that looks like a line of text."""
    button = _Link(text)
    set_role(button, "link")
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    return button
