"""How a clip looks in the gallery: its picture, its prompt, a line of facts, a star, and what is
wrong with a broken one.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import (
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
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
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from mlxvid.gui.core.database import ClipRow
from mlxvid.gui.widgets.elided import whole_parts
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.painting import fitted
from mlxvid.gui.widgets.theme import Colours, colours

from .list_model import GalleryModel, duration, facts, title
from .thumbnails import Thumbnails

Index = QModelIndex | QPersistentModelIndex

PADDING = 7
# The picture's room is 16:10: between the wide clips and the square ones.
SHAPE = 0.625
# Two columns in the narrowest window.
LEAST_WIDTH = 125
RADIUS = 5
STAR = 16
# Smaller than the app's writing: the line of facts, and the length on the picture.
SMALL = 0.88


@dataclass
class Hover:
    """The tile under the mouse: its clip, the picture to show now (None: the still one), and how
    far through it is, from 0 to 1.
    """

    number: int
    image: QImage | None = None
    share: float = 0.0


class GalleryDelegate(QStyledItemDelegate):
    """`cell` is the size of a tile, `hover` what moves; both are the panel's to set."""

    def __init__(self, thumbnails: Thumbnails, parent: QObject | None = None):
        super().__init__(parent)
        self._thumbnails = thumbnails
        self.cell = QSize(LEAST_WIDTH, LEAST_WIDTH)
        self.hover: Hover | None = None

    def cell_for(self, room: int, font: QFont) -> QSize:
        """The size of tiles that fill `room` pixels of width evenly."""
        columns = max(room // LEAST_WIDTH, 1)
        width = max(room // columns, 1)
        text = QFontMetrics(font).height() + QFontMetrics(_small(font)).height() + 2
        return QSize(width, round((width - 2 * PADDING) * SHAPE) + 6 + text + 2 * PADDING)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return self.cell

    def star_rect(self, tile: QRect) -> QRect:
        """Where a tile's star is, and is clicked."""
        picture = _picture_rect(tile)
        return QRect(picture.right() - STAR - 7, picture.top() + 5, STAR + 4, STAR + 4)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: ClipRow = index.data(GalleryModel.ROW)
        look = colours(option.palette)
        picture = _picture_rect(option.rect)
        hovered = self.hover if self.hover is not None and self.hover.number == row.id else None
        painter.save()
        painter.setRenderHints(
            QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform
        )
        self._paint_picture(painter, row, picture, hovered, option, look)
        self._paint_star(painter, row, option.rect, hovered is not None)
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
        image = (
            hovered.image
            if hovered is not None and hovered.image is not None
            else self._thumbnails.still(row.id, row.path)
        )
        broken = self._thumbnails.broken(row.id)
        if broken is not None:
            self._paint_broken(
                painter, "File missing" if broken.missing else "Damaged", picture, option, look
            )
            return
        painter.save()
        painter.setClipPath(shape)
        if image is not None:
            size = fitted(QSizeF(image.size()), QRectF(picture))
            centre = QRectF(picture).center()
            painter.drawImage(
                QRectF(
                    centre.x() - size.width() / 2,
                    centre.y() - size.height() / 2,
                    size.width(),
                    size.height(),
                ),
                image,
            )
        if hovered is not None and hovered.image is not None:
            width = round(picture.width() * hovered.share)
            painter.fillRect(
                QRect(picture.left(), picture.bottom() - 1, width, 2), QColor(look.accent)
            )
        painter.restore()
        painter.setFont(_small(option.font))
        _paint_length(painter, duration(row), picture)

    def _paint_broken(
        self,
        painter: QPainter,
        words: str,
        picture: QRect,
        option: QStyleOptionViewItem,
        look: Colours,
    ) -> None:
        """A sign and a word; the sentence is told when one opens it."""
        painter.setFont(_small(option.font))
        height = painter.fontMetrics().height()
        top = picture.center().y() - (24 + 4 + height) // 2
        icon("warning", QPalette.ColorRole.PlaceholderText).paint(
            painter, QRect(picture.center().x() - 12, top, 24, 24)
        )
        painter.setPen(QColor(look.faint))
        painter.drawText(
            QRect(picture.left(), top + 28, picture.width(), height),
            Qt.AlignmentFlag.AlignCenter,
            words,
        )

    def _paint_star(self, painter: QPainter, row: ClipRow, tile: QRect, hovered: bool) -> None:
        if not row.favourite and not hovered:
            return
        where = self.star_rect(tile)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 130))
        painter.drawEllipse(where)
        light = QPalette.ColorRole.HighlightedText  # white in both appearances
        icon("star-filled" if row.favourite else "star", light).paint(
            painter, where.adjusted(2, 2, -2, -2)
        )

    def _paint_text(
        self,
        painter: QPainter,
        row: ClipRow,
        picture: QRect,
        option: QStyleOptionViewItem,
        look: Colours,
    ) -> None:
        top = picture.bottom() + 6
        small, width = _small(option.font), picture.width() - 2
        told = whole_parts(facts(row), QFontMetrics(small), width)
        for text, font, colour in ((title(row), option.font, look.text), (told, small, look.faint)):
            metrics = QFontMetrics(font)
            painter.setFont(font)
            painter.setPen(QColor(colour))
            line = QRect(picture.left() + 1, top, width, metrics.height())
            painter.drawText(
                line,
                Qt.AlignmentFlag.AlignLeft,
                metrics.elidedText(text, Qt.TextElideMode.ElideRight, width),
            )
            top += metrics.height() + 2

    def _paint_outline(
        self, painter: QPainter, picture: QRect, option: QStyleOptionViewItem, look: Colours
    ) -> None:
        """What is selected has a frame; so has, thinner, what the keyboard is at."""
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected or option.state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(
                QPen(QColor(look.accent if selected else look.faint), 2 if selected else 1)
            )
            painter.drawRoundedRect(QRectF(picture).adjusted(-2, -2, 2, 2), RADIUS + 1, RADIUS + 1)


def _picture_rect(tile: QRect) -> QRect:
    width = tile.width() - 2 * PADDING
    return QRect(tile.left() + PADDING, tile.top() + PADDING, width, round(width * SHAPE))


def _paint_length(painter: QPainter, text: str, picture: QRect) -> None:
    metrics = painter.fontMetrics()
    size = QSize(metrics.horizontalAdvance(text) + 8, metrics.height() + 2)
    box = QRect(picture.bottomRight() - QPoint(size.width() + 4, size.height() + 4), size)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 140))
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QColor(255, 255, 255, 230))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def _small(font: QFont) -> QFont:
    smaller = QFont(font)
    smaller.setPointSizeF(font.pointSizeF() * SMALL)
    return smaller
