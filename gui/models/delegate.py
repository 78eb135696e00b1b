"""How a model looks in the list.

Three lines: its title, with a mark on the recommended one; what it makes clips from, and its size;
how it fits, and its licence. A dot says what is here; a bar shows a job.
"""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from mlxvid.gui.core.downloads import ModelJob, ModelJobs, job_text
from mlxvid.gui.core.progress_text import share
from mlxvid.gui.widgets.elided import whole_parts
from mlxvid.gui.widgets.painting import draw_bar, draw_ground, draw_line
from mlxvid.gui.widgets.theme import Colours, colours, small_font

from .list_model import ROW
from .survey import ModelRow, Presence

# Pixels: around a row, between its lines, height of the progress bar, diameter of the dot.
_MARGIN = 10
_GAP = 3
_BAR = 3
_DOT = 7
RECOMMENDED = "Recommended"
# The reason, which is too long for a row, stands in the details.
FAILED = "Failed: choose it to see why"


class ModelsDelegate(QStyledItemDelegate):
    """The lines, and a dot: full for a complete model, half for a part, empty for an absent one."""

    def __init__(self, jobs: ModelJobs, parent: QObject | None = None):
        super().__init__(parent)
        self._jobs = jobs

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        small = QFontMetrics(small_font(option.font)).height()
        height = QFontMetrics(option.font).height() + 2 * (small + _GAP)
        return QSize(200, height + 2 * _MARGIN + 2)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        row: ModelRow = index.data(ROW)
        job = self._jobs.job(row.name)
        look = colours(option.palette)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_ground(painter, option, 1, look)
        area = option.rect.adjusted(_MARGIN + 6, _MARGIN, -_MARGIN - 6, -_MARGIN)
        dot_top = area.top() + (option.fontMetrics.height() - _DOT) / 2
        _paint_dot(painter, row, QRectF(area.right() - _DOT, dot_top, _DOT, _DOT), look)
        small = small_font(option.font)
        title_area = area.adjusted(0, 0, -_DOT - 8, 0)
        if row.recommended:
            title_area.setRight(_paint_mark(painter, small, title_area, look))
        title = look.text if row.fits else look.faint
        bottom = draw_line(painter, option.font, title, title_area, row.title)
        for text, colour in _lines(row, job, self._jobs.failure(row.name), look):
            line = area.adjusted(0, bottom - area.top() + _GAP, 0, 0)
            shown = whole_parts(text, QFontMetrics(small), line.width())
            bottom = draw_line(painter, small, colour, line, shown)
        if job is not None:
            bar = QRectF(area.left(), option.rect.bottom() - _BAR - 3, area.width(), _BAR)
            draw_bar(painter, bar, share(job.progress), look)
        painter.restore()


def _lines(
    row: ModelRow, job: ModelJob | None, failure: str, look: Colours
) -> list[tuple[str, str]]:
    """The lines under the title, and their colours."""
    second = (row.note, look.faint if row.fits else look.warning)
    if job is not None:
        second = (job_text(job), look.text)
    elif failure:
        second = (FAILED, look.danger)
    return [(row.facts, look.faint), second]


def _paint_mark(painter: QPainter, font: QFont, area: QRect, look: Colours) -> int:
    """Paint the mark of the recommended model at the right; returns where the title has to end."""
    width = QFontMetrics(font).horizontalAdvance(RECOMMENDED)
    painter.setFont(font)
    painter.setPen(QColor(look.link))
    height = QFontMetrics(font).height()
    place = QRect(area.right() - width, area.top(), width + 1, height)
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, RECOMMENDED)
    return area.right() - width - 8


def _paint_dot(painter: QPainter, row: ModelRow, circle: QRectF, look: Colours) -> None:
    absent = not row.disk_bytes
    painter.setPen(QColor(look.faint if absent else look.good))
    painter.setBrush(QColor(look.good) if row.complete else Qt.BrushStyle.NoBrush)
    painter.drawEllipse(circle)
    if row.presence is Presence.PARTIAL and row.disk_bytes:
        painter.setBrush(QColor(look.good))
        # Qt counts angles in sixteenths of a degree.
        painter.drawPie(circle, 90 * 16, 180 * 16)
