"""The grid of clips: tiles that fill the width, one that moves under the mouse, stars that can be
clicked.
"""

from __future__ import annotations

import time

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QWidget

from mlxvid.gui.core.database import ClipRow
from mlxvid.gui.widgets.theme import colours

from .delegate import GalleryDelegate, Hover
from .list_model import GalleryModel
from .thumbnails import Thumbnails

# The mouse has to rest on a tile for so many ms before it moves, so that one crossing the grid sets
# nothing off.
REST = 90


class GalleryView(QListView):
    """Shows a gallery model's rows."""

    star_clicked = Signal(QModelIndex)

    def __init__(self, model: GalleryModel, thumbnails: Thumbnails, parent: QWidget | None = None):
        super().__init__(parent)
        self._thumbnails = thumbnails
        self._delegate = GalleryDelegate(thumbnails, self)
        self._empty = ""
        self._hovered = QPersistentModelIndex()
        self._since = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._animate)
        self.setModel(model)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName("Gallery")
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setDragEnabled(True)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        model.rowsAboutToBeRemoved.connect(self._leave)
        thumbnails.ready.connect(self._redraw)
        thumbnails.failed.connect(self._redraw)

    def set_empty_text(self, text: str) -> None:
        """What stands in an empty gallery."""
        self._empty = text
        self.viewport().update()

    def rows(self) -> list[ClipRow]:
        """The clips of the selection, in the gallery's order."""
        return [
            index.data(GalleryModel.ROW)
            for index in sorted(self.selectedIndexes(), key=QModelIndex.row)
        ]

    # --- the grid ---------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        # Room for the scroll bar even where there is none: tiles that grew without it could need
        # it. And a grid that is exactly as wide as the viewport would wrap one tile early.
        room = self.contentsRect().width() - self.verticalScrollBar().sizeHint().width() - 2
        self._delegate.cell = self._delegate.cell_for(room, self.font())
        self.setGridSize(self._delegate.cell)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()
        super().resizeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._lay_out()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._empty and self.model().rowCount() == 0:
            painter = QPainter(self.viewport())
            painter.setPen(QColor(colours(self.palette()).faint))
            room = self.viewport().rect().adjusted(24, 24, -24, -24)
            painter.drawText(
                room, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._empty
            )

    def _redraw(self, number: int) -> None:
        index = self.model().index_of(number)
        if index.isValid():
            self.update(index)

    # --- the tile under the mouse -----------------------------------------------------------------

    def hover(self, index: QModelIndex) -> None:
        """The mouse is over a tile; over none for an invalid index."""
        if index == self._hovered:
            return
        self._leave()
        if index.isValid():
            self._hovered = QPersistentModelIndex(index)
            self._delegate.hover = Hover(index.data(GalleryModel.ROW).id)
            self._since = 0.0
            self._timer.start(REST)
            self.update(index)

    def _leave(self) -> None:
        self._timer.stop()
        self._delegate.hover = None
        if self._hovered.isValid():
            self.update(QModelIndex(self._hovered))
        self._hovered = QPersistentModelIndex()

    def _animate(self) -> None:
        """Show the hovered clip's frame for this moment, as soon as its moving picture is there."""
        if not self._hovered.isValid() or self._delegate.hover is None:
            self._leave()
            return
        row = self._hovered.data(GalleryModel.ROW)
        if self._thumbnails.broken(row.id) is not None:
            self._leave()
            return
        moving = self._thumbnails.moving(row.id, row.path)
        if moving is None:
            return
        now = time.perf_counter()
        self._since = self._since or now
        place = (now - self._since) * moving.fps % len(moving.frames)
        self._delegate.hover = Hover(row.id, moving.frames[int(place)], place / len(moving.frames))
        self._timer.setInterval(round(1000 / max(moving.fps, 1)))
        self.update(QModelIndex(self._hovered))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.hover(self.indexAt(event.position().toPoint()))
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._leave()
        super().leaveEvent(event)

    def hideEvent(self, event: QEvent) -> None:
        self._leave()
        super().hideEvent(event)

    def _on_star(self, event: QMouseEvent) -> QModelIndex:
        """The tile whose star is under the mouse."""
        index = self.indexAt(event.position().toPoint())
        star = self._delegate.star_rect(self.visualRect(index))
        return (
            index
            if index.isValid() and star.contains(event.position().toPoint())
            else QModelIndex()
        )

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._on_star(event).isValid():
            self.star_clicked.emit(self._on_star(event))  # and the selection stays
        else:
            super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if not self._on_star(event).isValid():
            super().mouseDoubleClickEvent(event)
