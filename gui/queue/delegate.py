"""How a job looks in the queue: its prompt, what it makes, and a line that says how it stands."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.progress_text import progress_text, share
from mlxvid.gui.widgets.elided import whole_parts
from mlxvid.gui.widgets.theme import colours

from .list_model import JOB, PROGRESS

_MARGIN, _GAP, _BAR = 12, 3, 3
_STATES = {
    State.INTERRUPTED: "Interrupted",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
    State.WAITING: "Waiting",
}


class QueueDelegate(QStyledItemDelegate):
    """Three lines and a bar: prompt, facts, state."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        bold, small = _fonts(option.font)
        height = (
            QFontMetrics(bold).height() + 2 * QFontMetrics(small).height() + 2 * _GAP + 2 * _MARGIN
        )
        return QSize(160, height)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        job: Job = index.data(JOB)
        c = colours(option.palette)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(c.field if chosen else c.hover))
            painter.drawRoundedRect(option.rect.adjusted(6, 2, -6, -2), 6, 6)
        if chosen and option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QColor(c.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(
                QRectF(option.rect.adjusted(6, 2, -6, -2)).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6
            )
        bold, small = _fonts(option.font)
        area = option.rect.adjusted(_MARGIN + 4, _MARGIN, -_MARGIN - 4, -_MARGIN)
        top = _line(painter, bold, c.text, area, area.top(), job.title)
        top = _line(
            painter,
            small,
            c.faint,
            area,
            top + _GAP,
            whole_parts(job.facts, QFontMetrics(small), area.width()),
        )
        words, colour = _standing(job, index.data(PROGRESS), c)
        if job.state is State.RUNNING:
            words = whole_parts(words, QFontMetrics(small), area.width())
        _line(painter, small, colour, area, top + _GAP, words)
        if job.state is State.RUNNING:
            bar = QRectF(area.left(), option.rect.bottom() - _MARGIN + 3, area.width(), _BAR)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(c.line))
            painter.drawRoundedRect(bar, 1.5, 1.5)
            painter.setBrush(QColor(c.accent))
            bar.setWidth(bar.width() * share(index.data(PROGRESS)))
            painter.drawRoundedRect(bar, 1.5, 1.5)
        painter.restore()


def _standing(job: Job, progress: dict[str, Any], c: Any) -> tuple[str, str]:
    """What the last line says, and its colour."""
    if job.state is State.RUNNING:
        return progress_text(progress), c.text
    words = _STATES[job.state]
    if job.state in (State.INTERRUPTED, State.FAILED) and job.message:
        return f"{words}: {job.message}", c.danger if job.state is State.FAILED else c.warning
    return words, c.faint


def _fonts(font: QFont) -> tuple[QFont, QFont]:
    bold, small = QFont(font), QFont(font)
    bold.setWeight(QFont.Weight.Medium)
    small.setPointSizeF(font.pointSizeF() * 0.9)
    return bold, small


def _line(painter: QPainter, font: QFont, colour: str, area: QRect, top: int, text: str) -> int:
    """Write one line, shortened at its end if need be; returns where the next may begin."""
    metrics = QFontMetrics(font)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    rect = QRect(area.left(), top, area.width(), metrics.height())
    painter.drawText(
        rect,
        Qt.AlignmentFlag.AlignVCenter,
        metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width()),
    )
    return top + metrics.height()
