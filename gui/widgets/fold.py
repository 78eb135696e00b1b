"""A line that tells what is folded away below it, and opens."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolButton, QWidget

from .elided import whole_parts
from .icons import icon

# Pixels of the arrow and the padding around it.
_AROUND = 32


class FoldButton(QToolButton):
    """Shows `body` while it is checked. Its line is shortened to its room."""

    def __init__(self, name: str, body: QWidget, parent: QWidget | None = None):
        super().__init__(parent)
        self._name = name
        self._body = body
        self._line = ""
        self._of_facts = False
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setCheckable(True)
        self.setProperty("role", "fold")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.toggled.connect(self._follow)
        self.set_line(name)
        self._follow(False)

    @property
    def line(self) -> str:
        """What it tells, whole."""
        return self._line

    def set_line(self, line: str, of_facts: bool = False) -> None:
        """Tell this. of_facts: where there is no room, those at the end are left out."""
        self._line = line
        self._of_facts = of_facts
        self.setAccessibleName(line if line == self._name else f"{self._name}: {line}")
        self._elide()

    def minimumSizeHint(self) -> QSize:
        return QSize(_AROUND, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = self.width() - _AROUND
        metrics = self.fontMetrics()
        text = metrics.elidedText(self._line, Qt.TextElideMode.ElideRight, room)
        if self._of_facts:
            text = whole_parts(self._line, metrics, room)
        self.setText(text)
        self.setToolTip("" if text == self._line else self._line)

    def _follow(self, open_: bool) -> None:
        self.setIcon(icon("down" if open_ else "right"))
        self._body.setVisible(open_)
