"""How a job looks in the queue: its prompt, its facts, and its state."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.progress_text import progress_text, share
from mlxvid.gui.widgets.elided import whole_parts
from mlxvid.gui.widgets.theme import Colours, colours, small_font

from .list_model import JOB, PROGRESS, WAITS_FOR

# Pixels around the lines, between them, and of the bar's height.
_MARGIN = 12
_GAP = 3
_BAR = 3
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
        lines = QFontMetrics(bold).height() + 2 * QFontMetrics(small).height()
        return QSize(160, lines + 2 * _GAP + 2 * _MARGIN)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        job: Job = index.data(JOB)
        progress = index.data(PROGRESS)
        look = colours(option.palette)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _paint_background(painter, option, look)
        bold, small = _fonts(option.font)
        area = option.rect.adjusted(_MARGIN + 4, _MARGIN, -_MARGIN - 4, -_MARGIN)
        facts = whole_parts(job.facts, QFontMetrics(small), area.width())
        words, colour = _state_line(job, progress, index.data(WAITS_FOR), look)
        if progress:
            words = whole_parts(words, QFontMetrics(small), area.width())
        top = _line(painter, bold, look.text, area, area.top(), job.title)
        top = _line(painter, small, look.faint, area, top + _GAP, facts)
        _line(painter, small, colour, area, top + _GAP, words)
        if progress or job.state is State.RUNNING:
            top = option.rect.bottom() - _MARGIN + 3
            bar = QRectF(area.left(), top, area.width(), _BAR)
            _paint_bar(painter, bar, share(progress), look)
        painter.restore()


def _paint_background(painter: QPainter, option: QStyleOptionViewItem, look: Colours) -> None:
    chosen = bool(option.state & QStyle.StateFlag.State_Selected)
    frame = option.rect.adjusted(6, 2, -6, -2)
    if chosen or option.state & QStyle.StateFlag.State_MouseOver:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(look.field if chosen else look.hover))
        painter.drawRoundedRect(frame, 6, 6)
    if chosen and option.state & QStyle.StateFlag.State_HasFocus:
        painter.setPen(QColor(look.accent))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(frame).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)


def _paint_bar(painter: QPainter, bar: QRectF, done: float, look: Colours) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(look.line))
    painter.drawRoundedRect(bar, 1.5, 1.5)
    painter.setBrush(QColor(look.accent))
    bar.setWidth(bar.width() * done)
    painter.drawRoundedRect(bar, 1.5, 1.5)


def _state_line(
    job: Job, progress: dict[str, Any], waits_for: str, look: Colours
) -> tuple[str, str]:
    """The words of the last line, and their colour."""
    if waits_for:
        return waits_for, look.text if progress else look.faint
    if job.state is State.RUNNING:
        return progress_text(progress), look.text
    words = _STATES[job.state]
    if job.state in (State.INTERRUPTED, State.FAILED) and job.message:
        colour = look.danger if job.state is State.FAILED else look.warning
        return f"{words}: {job.message}", colour
    return words, look.faint


def _fonts(font: QFont) -> tuple[QFont, QFont]:
    """Those of the first line and of the others."""
    bold = QFont(font)
    bold.setWeight(QFont.Weight.Medium)
    return bold, small_font(font)


def _line(painter: QPainter, font: QFont, colour: str, area: QRect, top: int, text: str) -> int:
    """Write one line, elided at its end if need be; returns where the next may begin."""
    metrics = QFontMetrics(font)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    rect = QRect(area.left(), top, area.width(), metrics.height())
    elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width())
    painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter, elided)
    return top + metrics.height()
