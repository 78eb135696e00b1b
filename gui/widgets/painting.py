"""What several widgets draw: pictures fitted to a space, words on a picture."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QPainter


def fitted(size: QSizeF, area: QRectF) -> QSizeF:
    """The largest size with the same aspect ratio inside `area`."""
    return size.scaled(area.size(), Qt.AspectRatioMode.KeepAspectRatio)


def badge_size(painter: QPainter, text: str) -> QSize:
    """The size of a badge that says all of `text`."""
    metrics = painter.fontMetrics()
    return QSize(metrics.horizontalAdvance(text) + 16, metrics.height() + 8)


def draw_badge(painter: QPainter, text: str, corner: QPoint, room: int) -> None:
    """Draw a few words on a dark ground, readable on any picture, elided to `room` pixels."""
    text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room - 16)
    box = QRect(corner, badge_size(painter, text))
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 170))
    painter.drawRoundedRect(box, 5, 5)
    painter.setPen(QColor(255, 255, 255))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()
