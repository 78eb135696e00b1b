"""How a clip looks in the gallery: picture, prompt, a line of facts, star, and any damage."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import (
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    QSizeF,
    Qt,
)
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QImage,
    QPainter,
    QPainterPath,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.widgets.elided import whole_parts
from mlxvid.gui.widgets.icons import icon, icon_side
from mlxvid.gui.widgets.painting import fitted
from mlxvid.gui.widgets.theme import Colours, colours, small_font

from .arrangement import Marks, Stack, length_text, summary, title
from .list_model import GalleryModel
from .thumbnails import Thumbnails

Index = QModelIndex | QPersistentModelIndex

PADDING = 7
# Height of the picture's space to its width: 16:10, between wide clips and square ones.
SHAPE = 0.625
# Least width of a tile in pixels, to begin with.
LEAST_WIDTH = 125
RADIUS = 5
# Size of the line of facts and of the length on the picture, to the app's font size.
SMALL = 0.88


@dataclass
class Hover:
    """The tile under the mouse.

    number: the id of its clip. image: the picture to show now, None for the still one. share: how
    much of the clip has been shown, from 0 to 1.
    """

    number: int
    image: QImage | None = None
    share: float = 0.0


class GalleryDelegate(QStyledItemDelegate):
    """Paints tiles; the view sets `least`, their least width, `cell`, their size, and `hover`, the
    one that moves.
    """

    def __init__(self, thumbnails: Thumbnails, parent: QObject | None = None):
        super().__init__(parent)
        self._thumbnails = thumbnails
        self.least = LEAST_WIDTH
        self.cell = QSize(LEAST_WIDTH, LEAST_WIDTH)
        self.hover: Hover | None = None

    def cell_for(self, room: int, font: QFont) -> QSize:
        """The size of tiles that fill `room` pixels of width evenly."""
        columns = max(room // self.least, 1)
        width = max(room // columns, 1)
        text = QFontMetrics(font).height() + QFontMetrics(small_font(font, SMALL)).height() + 2
        return QSize(width, round((width - 2 * PADDING) * SHAPE) + 6 + text + 2 * PADDING)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return self.cell

    def star_rect(self, tile: QRect) -> QRect:
        """Where a tile's star is drawn and clicked."""
        picture = _picture_rect(tile)
        side = icon_side(QApplication.font()) + 2
        return QRect(picture.right() - side - 3, picture.top() + 5, side, side)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: ClipRow = index.data(GalleryModel.ROW)
        look = colours(option.palette)
        picture = _picture_rect(option.rect)
        hovered = self.hover
        if hovered is not None and hovered.number != row.id:
            hovered = None
        painter.save()
        painter.setRenderHints(
            QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform
        )
        self._paint_picture(painter, row, picture, hovered, option, look)
        self._paint_star(painter, row, option.rect, hovered is not None)
        self._paint_badges(painter, row, index.data(GalleryModel.MARKS), picture, option)
        self._paint_text(painter, row, picture, option, look)
        self._paint_outline(painter, picture, option, look)
        painter.restore()

    # --- the parts --------------------------------------------------------------------------------

    def _paint_picture(
        self,
        painter: QPainter,
        row: ClipRow,
        picture: QRect,
        hovered: Hover | None,
        option: QStyleOptionViewItem,
        look: Colours,
    ) -> None:
        shape = QPainterPath()
        shape.addRoundedRect(QRectF(picture), RADIUS, RADIUS)
        painter.fillPath(shape, QColor(look.stage))
        image = hovered.image if hovered is not None else None
        if image is None:
            image = self._thumbnails.still(row.id, row.path)
        broken = self._thumbnails.broken(row.id)
        if broken is not None:
            words = "File missing" if broken.missing else "Damaged"
            self._paint_broken(painter, words, picture, option, look)
            return
        painter.save()
        painter.setClipPath(shape)
        if image is not None:
            place = QRectF(QPointF(), fitted(QSizeF(image.size()), QRectF(picture)))
            place.moveCenter(QRectF(picture).center())
            painter.drawImage(place, image)
        if hovered is not None and hovered.image is not None:
            width = round(picture.width() * hovered.share)
            line = QRect(picture.left(), picture.bottom() - 1, width, 2)
            painter.fillRect(line, QColor(look.accent))
        painter.restore()

    def _paint_broken(
        self,
        painter: QPainter,
        words: str,
        picture: QRect,
        option: QStyleOptionViewItem,
        look: Colours,
    ) -> None:
        """Paint a sign and a word; opening the clip shows the whole message."""
        painter.setFont(small_font(option.font, SMALL))
        height = painter.fontMetrics().height()
        top = picture.center().y() - (24 + 4 + height) // 2
        sign = QRect(picture.center().x() - 12, top, 24, 24)
        icon("warning", QPalette.ColorRole.PlaceholderText).paint(painter, sign)
        line = QRect(picture.left(), top + 28, picture.width(), height)
        painter.setPen(QColor(look.faint))
        painter.drawText(line, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_star(self, painter: QPainter, row: ClipRow, tile: QRect, hovered: bool) -> None:
        if not row.favourite and not hovered:
            return
        where = self.star_rect(tile)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 130))
        painter.drawEllipse(where)
        white = QPalette.ColorRole.HighlightedText  # in both appearances
        star = icon("star-filled" if row.favourite else "star", white)
        star.paint(painter, where.adjusted(2, 2, -2, -2))

    def stack_rect(self, tile: QRect, stack: Stack, font: QFont) -> QRect:
        """Where a stack's count is drawn and clicked."""
        metrics = QFontMetrics(small_font(font, SMALL))
        return _badge(_picture_rect(tile), stack_text(stack), metrics, "top left")

    def _paint_badges(
        self,
        painter: QPainter,
        row: ClipRow,
        marks: Marks,
        picture: QRect,
        option: QStyleOptionViewItem,
    ) -> None:
        """Paint what stands in the corners of the picture, as far as there is room."""
        painter.setFont(small_font(option.font, SMALL))
        metrics = painter.fontMetrics()
        texts: dict[str, str] = {}
        if marks.stack is not None:
            texts["top left"] = stack_text(marks.stack)
        if self._thumbnails.broken(row.id) is None:
            texts["bottom right"] = length_text(row)
        if marks.day:
            texts["bottom left"] = marks.day
        boxes: list[QRect] = []
        for corner, text in texts.items():
            box = _badge(picture, text, metrics, corner)
            if not any(box.intersects(other) for other in boxes):
                boxes.append(box)
                _paint_badge(painter, box, text)
        if marks.in_view:
            bar = QRect(picture.left(), picture.bottom() + 3, picture.width(), 3)
            painter.fillRect(bar, QColor(colours(option.palette).accent))

    def _paint_text(
        self,
        painter: QPainter,
        row: ClipRow,
        picture: QRect,
        option: QStyleOptionViewItem,
        look: Colours,
    ) -> None:
        top = picture.bottom() + 6
        width = picture.width() - 2
        small = small_font(option.font, SMALL)
        facts = whole_parts(summary(row), QFontMetrics(small), width)
        lines = ((title(row), option.font, look.text), (facts, small, look.faint))
        for text, font, colour in lines:
            metrics = QFontMetrics(font)
            shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)
            line = QRect(picture.left() + 1, top, width, metrics.height())
            painter.setFont(font)
            painter.setPen(QColor(colour))
            painter.drawText(line, Qt.AlignmentFlag.AlignLeft, shown)
            top += metrics.height() + 2

    def _paint_outline(
        self, painter: QPainter, picture: QRect, option: QStyleOptionViewItem, look: Colours
    ) -> None:
        """Frame what is selected, and thinner what has the keyboard focus."""
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected or option.state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            pen = QPen(QColor(look.accent), 2) if selected else QPen(QColor(look.faint), 1)
            painter.setPen(pen)
            painter.drawRoundedRect(QRectF(picture).adjusted(-2, -2, 2, 2), RADIUS + 1, RADIUS + 1)


def _picture_rect(tile: QRect) -> QRect:
    width = tile.width() - 2 * PADDING
    return QRect(tile.left() + PADDING, tile.top() + PADDING, width, round(width * SHAPE))


def stack_text(stack: Stack) -> str:
    """What a stack's badge says."""
    return f"{stack.count} takes" + (" ▾" if stack.opened else " ▸")


def _badge(picture: QRect, text: str, metrics: QFontMetrics, corner: str) -> QRect:
    """Where a text in a corner of the picture is."""
    box = QRect(0, 0, metrics.horizontalAdvance(text) + 8, metrics.height() + 2)
    inner = picture.adjusted(4, 4, -4, -4)
    box.moveLeft(inner.left() if "left" in corner else inner.right() - box.width())
    box.moveTop(inner.top() if "top" in corner else inner.bottom() - box.height())
    return box


def _paint_badge(painter: QPainter, box: QRect, text: str) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 140))
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QColor(255, 255, 255, 230))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
