"""How a model looks in the list: its title, where it is, a sign if it can't run here, and a bar
while something is done with it.
"""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from mlxvid.gui.widgets.theme import colours

from .jobs import ModelJobs, job_text
from .list_model import MODEL, Model, State

_MARGIN, _GAP, _BAR, _DOT = 10, 3, 3, 7


class ModelsDelegate(QStyledItemDelegate):
    """Two lines, and a dot: full for what is here, half for a part, empty for what is not."""

    def __init__(self, jobs: ModelJobs, parent: QObject | None = None):
        super().__init__(parent)
        self._jobs = jobs

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        height = QFontMetrics(option.font).height() + QFontMetrics(_small(option.font)).height()
        return QSize(200, height + _GAP + 2 * _MARGIN + 2)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        model: Model = index.data(MODEL)
        job = self._jobs.job(model.name)
        c = colours(option.palette)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(option.rect.adjusted(6, 1, -6, -1))
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(c.field if chosen else c.hover))
            painter.drawRoundedRect(frame, 6, 6)
        if chosen and option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QColor(c.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(frame.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        area = option.rect.adjusted(_MARGIN + 6, _MARGIN, -_MARGIN - 6, -_MARGIN)
        _paint_dot(
            painter,
            model,
            QRectF(
                area.right() - _DOT,
                area.top() + (option.fontMetrics.height() - _DOT) / 2,
                _DOT,
                _DOT,
            ),
            c,
        )
        top = _line(
            painter,
            option.font,
            c.text if model.fits else c.faint,
            area.adjusted(0, 0, -_DOT - 6, 0),
            model.title,
        )
        note, colour = (
            (job_text(job), c.text)
            if job
            else (model.note, c.faint)
            if model.fits
            else ("Won't fit in memory", c.warning)
        )
        _line(
            painter,
            _small(option.font),
            colour,
            area.adjusted(0, top - area.top() + _GAP, 0, 0),
            note,
        )
        if job is not None:
            _paint_bar(
                painter,
                job.progress,
                QRectF(area.left(), option.rect.bottom() - _BAR - 3, area.width(), _BAR),
                c,
            )
        painter.restore()


def _paint_dot(painter: QPainter, model: Model, circle: QRectF, c) -> None:
    painter.setPen(QColor(c.good if model.state is not State.ABSENT else c.faint))
    painter.setBrush(
        QColor(c.good) if model.state in (State.PACKAGED, State.HERE) else Qt.BrushStyle.NoBrush
    )
    painter.drawEllipse(circle)
    if model.state is State.PARTLY:
        painter.setBrush(QColor(c.good))
        painter.drawPie(circle, 90 * 16, 180 * 16)


def _paint_bar(painter: QPainter, progress: dict, bar: QRectF, c) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(c.line))
    painter.drawRoundedRect(bar, 1.5, 1.5)
    painter.setBrush(QColor(c.accent))
    bar.setWidth(
        bar.width() * (progress["step"] / progress["total"] if progress.get("total") else 0)
    )
    painter.drawRoundedRect(bar, 1.5, 1.5)


def _line(painter: QPainter, font: QFont, colour: str, area: QRect, text: str) -> int:
    """Write one line at the top of `area`, shortened at its end if need be; returns where the next
    may begin.
    """
    metrics = QFontMetrics(font)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    rect = QRect(area.left(), area.top(), area.width(), metrics.height())
    painter.drawText(
        rect,
        Qt.AlignmentFlag.AlignVCenter,
        metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width()),
    )
    return area.top() + metrics.height()


def _small(font: QFont) -> QFont:
    small = QFont(font)
    small.setPointSizeF(font.pointSizeF() * 0.9)
    return small
