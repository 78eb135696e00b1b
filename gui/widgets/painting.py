"""What several widgets draw: fitted pictures, words on a picture, parts of a row of a list."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from .theme import Colours


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


def draw_ground(painter: QPainter, option: QStyleOptionViewItem, gap: int, look: Colours) -> None:
    """Draw what is behind a row that is selected or under the mouse, and the focus around it.

    gap: pixels above and below it.
    """
    chosen = bool(option.state & QStyle.StateFlag.State_Selected)
    frame = QRectF(option.rect.adjusted(6, gap, -6, -gap))
    if chosen or option.state & QStyle.StateFlag.State_MouseOver:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(look.field if chosen else look.hover))
        painter.drawRoundedRect(frame, 6, 6)
    if chosen and option.state & QStyle.StateFlag.State_HasFocus:
        painter.setPen(QColor(look.accent))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(frame.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)


def draw_bar(painter: QPainter, bar: QRectF, done: float, look: Colours) -> None:
    """Draw a thin bar that is filled as far as a job is done."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(look.line))
    painter.drawRoundedRect(bar, 1.5, 1.5)
    painter.setBrush(QColor(look.accent))
    filled = QRectF(bar)
    filled.setWidth(bar.width() * done)
    painter.drawRoundedRect(filled, 1.5, 1.5)


def draw_line(painter: QPainter, font: QFont, colour: str, area: QRect, text: str) -> int:
    """Draw one line at the top of `area`, elided at its end if need be; returns its bottom."""
    metrics = QFontMetrics(font)
    elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width())
    place = QRect(area.left(), area.top(), area.width(), metrics.height())
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, elided)
    return area.top() + metrics.height()
