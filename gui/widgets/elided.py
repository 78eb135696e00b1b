"""Text that is shortened to its space: a label with an ellipsis, and lines of facts."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QStyleOption, QWidget

# Between the parts of a line of facts.
DOT = " · "
_NO_BREAK = "\u00a0"


class ElidedLabel(QLabel):
    """One line of plain text with an ellipsis, and all of it as its tooltip."""

    def __init__(
        self,
        text: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        parent: QWidget | None = None,
    ):
        super().__init__(text, parent)
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        return QSize(self._text_width() + 1, super().sizeHint().height())

    def _text_width(self) -> int:
        return self.fontMetrics().horizontalAdvance(self.text())

    def _shortened(self) -> str:
        return self.fontMetrics().elidedText(self.text(), self._mode, self.width())

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOption()
        option.initFrom(self)
        text = self._shortened()
        painter = QPainter(self)
        self.style().drawItemText(
            painter,
            self.rect(),
            int(self.alignment()),
            option.palette,
            self.isEnabled(),
            text,
            self.foregroundRole(),
        )

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            if self._text_width() <= self.width():
                return True  # all of it is visible, so no tooltip is needed
            self.setToolTip(self.text())
        return super().event(event)


class FactsLabel(ElidedLabel):
    """A line of facts, of which those at the end are left out where there is no room."""

    def _shortened(self) -> str:
        return whole_parts(self.text(), self.fontMetrics(), self.width())


def joined(parts: Iterable[str]) -> str:
    """A line of facts that may become two, and then ends between them."""
    return DOT.join(part.replace(" ", _NO_BREAK) for part in parts)


def whole_parts(line: str, metrics: QFontMetrics, width: int) -> str:
    """As many parts of a line of facts as fit in `width`: half a number says nothing.

    A single part that doesn't fit is elided.
    """
    while metrics.horizontalAdvance(line) > width and DOT in line:
        line = line.rpartition(DOT)[0]
    # elidedText rounds up, and may take a letter from what just fits.
    if metrics.horizontalAdvance(line) <= width:
        return line
    return metrics.elidedText(line, Qt.TextElideMode.ElideRight, width)
