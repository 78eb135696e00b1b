"""How a job looks in the queue and in the history: its picture, prompt, facts and state."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, QSizeF
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPainterPath, QPalette
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from mlxvid.gui.core.jobs import PAUSED, Job, State
from mlxvid.gui.core.progress_text import share
from mlxvid.gui.widgets.elided import whole_parts
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.painting import draw_bar, draw_ground, draw_line, fitted
from mlxvid.gui.widgets.theme import Colours, colours, small_font

from .roles import BUTTONS, JOB, LINE, PICTURE, PROGRESS
from .row_buttons import EDGE, RowButtons

# Pixels around the lines, between them, between picture and lines, and of the bar's height.
_MARGIN = 12
_GAP = 3
_GUTTER = 10
_BAR = 3


class QueueDelegate(QStyledItemDelegate):
    """A picture beside three lines, prompt, facts, state, and a bar under the running one."""

    def __init__(self, view: QListView):
        super().__init__(view)
        self._view = view
        self.buttons = RowButtons(view, BUTTONS)

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(160, _text_height(option.font) + 2 * _MARGIN)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        job: Job = index.data(JOB)
        look = colours(option.palette)
        painter.save()
        painter.setRenderHints(
            QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform
        )
        draw_ground(painter, option, 2, look)
        area = option.rect.adjusted(_MARGIN + 4, _MARGIN, -_MARGIN - 4, -_MARGIN)
        picture = QRect(area.topLeft(), QSize(area.height(), area.height()))
        _paint_picture(painter, picture, index.data(PICTURE), look)
        area.setLeft(picture.right() + 1 + _GUTTER)
        if self._shows_buttons(option, index):
            buttons = index.data(BUTTONS)
            self.buttons.paint(painter, option.rect, buttons)
            area.setRight(option.rect.right() - EDGE - len(buttons) * self.buttons.side - 4)
        bold, small = _fonts(option.font)
        metrics = QFontMetrics(small)
        words = whole_parts(index.data(LINE), metrics, area.width())
        bottom = draw_line(painter, bold, look.text, area, job.title)
        facts = whole_parts(job.facts, metrics, area.width())
        area.setTop(bottom + _GAP)
        bottom = draw_line(painter, small, look.faint, area, facts)
        progress = index.data(PROGRESS)
        under_way = job.state is State.RUNNING or bool(progress)
        colour = look.text if under_way else _colour(job, look)
        area.setTop(bottom + _GAP)
        draw_line(painter, small, colour, area, words)
        if under_way:
            bar = QRectF(area.left(), area.bottom() + 4, area.width(), _BAR)
            draw_bar(painter, bar, share(progress), look)
        painter.restore()

    def _shows_buttons(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> bool:
        """Whether the mouse is over a row, or the keyboard at it."""
        current = self._view.hasFocus() and self._view.currentIndex() == index
        return current or bool(option.state & QStyle.StateFlag.State_MouseOver)


def _paint_picture(painter: QPainter, place: QRect, image: QImage | None, look: Colours) -> None:
    shape = QPainterPath()
    shape.addRoundedRect(QRectF(place), 4, 4)
    painter.fillPath(shape, QColor(look.stage))
    if image is None:
        size = min(24, place.height() // 2)
        sign = QRect(0, 0, size, size)
        sign.moveCenter(place.center())
        icon("film", QPalette.ColorRole.PlaceholderText).paint(painter, sign)
        return
    painter.save()
    painter.setClipPath(shape)
    room = QRectF(place)
    room.setSize(fitted(QSizeF(image.size()), room))
    room.moveCenter(QRectF(place).center())
    painter.drawImage(room, image)
    painter.restore()


def _colour(job: Job, look: Colours) -> str:
    """The colour of the words on the state of a job that isn't under way."""
    if job.state is State.FAILED:
        return look.danger
    if job.state is State.INTERRUPTED and job.message != PAUSED:
        return look.warning
    return look.faint


def _fonts(font: QFont) -> tuple[QFont, QFont]:
    """Those of the first line and of the others."""
    bold = QFont(font)
    bold.setWeight(QFont.Weight.Medium)
    return bold, small_font(font)


def _text_height(font: QFont) -> int:
    bold, small = _fonts(font)
    return QFontMetrics(bold).height() + 2 * QFontMetrics(small).height() + 2 * _GAP
