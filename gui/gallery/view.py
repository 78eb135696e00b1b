"""The grid of clips: tiles that fill the width, animated on hover, with stars to click."""

from __future__ import annotations

import time

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    Qt,
    QTimer,
    Signal,
    SignalInstance,
)
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QHideEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QWidget

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.widgets.theme import colours

from .delegate import GalleryDelegate, Hover
from .list_model import GalleryModel
from .thumbnails import Thumbnails

# Milliseconds that the mouse rests on a tile before it is animated, so that one that only crosses
# the grid starts nothing.
REST = 90
# How the focus comes where no mouse brings it, and where it was not there before.
_CHOSEN = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
    Qt.FocusReason.OtherFocusReason,
)


class GalleryView(QListView):
    """Shows a gallery model's rows.

    picked: a click on a clip alone, which adds nothing to the selection.
    """

    star_clicked = Signal(QModelIndex)
    stack_clicked = Signal(QModelIndex)
    picked = Signal(QModelIndex)

    def __init__(self, model: GalleryModel, thumbnails: Thumbnails, parent: QWidget | None = None):
        super().__init__(parent)
        self._gallery = model
        self._thumbnails = thumbnails
        self._delegate = GalleryDelegate(thumbnails, self)
        self.empty_text = ""
        self._hovered = QPersistentModelIndex()
        self._pressed = QPersistentModelIndex()
        self._since = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._animate)
        self._selected_goes = False
        # Before the view's own: that takes what goes out of the selection.
        model.rowsAboutToBeRemoved.connect(self._note_going)
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
        model.rowsRemoved.connect(self._select_next)
        self._kept: tuple[list[int], int | None] = ([], None)
        model.modelAboutToBeReset.connect(self._note_selection)
        model.modelReset.connect(self._restore_selection)
        thumbnails.ready.connect(self._redraw)
        thumbnails.failed.connect(self._redraw)

    def set_least_width(self, pixels: int) -> None:
        """Set how wide a tile is at least."""
        self._delegate.least = pixels
        self._lay_out()

    def set_empty_text(self, text: str) -> None:
        """Set the words of an empty gallery."""
        self.empty_text = text
        self.viewport().update()

    def rows(self) -> list[ClipRow]:
        """The selected clips, in the gallery's order."""
        indexes = sorted(self.selectedIndexes(), key=QModelIndex.row)
        return [index.data(GalleryModel.ROW) for index in indexes]

    def _note_going(self, parent: QModelIndex, first: int, last: int) -> None:
        self._leave()
        self._selected_goes = any(first <= index.row() <= last for index in self.selectedIndexes())

    def _select_next(self, parent: QModelIndex, first: int) -> None:
        """Where all that was selected has gone, select the clip that took its place."""
        if self._selected_goes and not self.selectedIndexes():
            self.setCurrentIndex(self._gallery.index(min(first, self._gallery.rowCount() - 1)))

    def _note_selection(self) -> None:
        self._leave()
        current = self.currentIndex().data(GalleryModel.ROW)
        self._kept = ([row.id for row in self.rows()], current.id if current else None)

    def _restore_selection(self) -> None:
        """Select the same clips again after the model was reset, as far as they are shown."""
        ids, current = self._kept
        flags = QItemSelectionModel.SelectionFlag
        if current is not None:
            self.selectionModel().setCurrentIndex(self._gallery.index_of(current), flags.NoUpdate)
        selection = QItemSelection()
        for index in map(self._gallery.index_of, ids):
            if index.isValid():
                selection.select(index, index)
        self.selectionModel().select(selection, flags.ClearAndSelect)

    # --- the grid ---------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        # Space for the scroll bar even if there is none, since tiles that grew without it could
        # need it. A grid exactly as wide as the viewport would wrap one tile early.
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
        if self.empty_text and self.model().rowCount() == 0:
            painter = QPainter(self.viewport())
            painter.setPen(QColor(colours(self.palette()).faint))
            room = self.viewport().rect().adjusted(24, 24, -24, -24)
            how = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(room, how, self.empty_text)

    def _redraw(self, number: int) -> None:
        index = self._gallery.index_of(number)
        if index.isValid():
            self.update(index)

    # --- the tile under the mouse -----------------------------------------------------------------

    def hover(self, index: QModelIndex) -> None:
        """Animate the tile under the mouse; none for an invalid index."""
        if index == self._hovered:
            return
        self._leave()
        if index.isValid():
            self._hovered = QPersistentModelIndex(index)
            self._delegate.hover = Hover(index.data(GalleryModel.ROW).id)
            self._since = 0.0
            self._timer.start(REST)
            self.update(index)

    @property
    def animating(self) -> bool:
        """Whether a tile is animated, or about to be."""
        return self._timer.isActive()

    def _leave(self) -> None:
        self._timer.stop()
        self._delegate.hover = None
        if self._hovered.isValid():
            self._redraw(self._hovered.data(GalleryModel.ROW).id)
        self._hovered = QPersistentModelIndex()

    def _animate(self) -> None:
        """Show the hovered clip's frame for this moment, once its animation is decoded."""
        if not self._hovered.isValid() or self._delegate.hover is None:
            self._leave()
            return
        row = self._hovered.data(GalleryModel.ROW)
        if self._thumbnails.broken(row.id) is not None:
            self._leave()
            return
        animation = self._thumbnails.animation(row.id, row.path)
        if animation is None:
            return
        now = time.perf_counter()
        self._since = self._since or now
        count = len(animation.frames)
        place = (now - self._since) * animation.fps % count
        self._delegate.hover = Hover(row.id, animation.frames[int(place)], place / count)
        self._timer.setInterval(round(1000 / max(animation.fps, 1)))
        self._redraw(row.id)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The keys have a clip to act on; a click chooses one itself."""
        super().focusInEvent(event)
        by_key = event.reason() in _CHOSEN
        if by_key and self._gallery.rowCount() and not self.selectedIndexes():
            current = self.currentIndex()
            self.setCurrentIndex(current if current.isValid() else self._gallery.index(0))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.hover(self.indexAt(event.position().toPoint()))
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._leave()
        super().leaveEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        self._leave()
        super().hideEvent(event)

    def _on_badge(self, place: QPoint) -> SignalInstance | None:
        """What a click there asks for besides the clip: its star, or the takes behind it."""
        index = self.indexAt(place)
        tile = self.visualRect(index)
        if not index.isValid():
            return None
        stack = index.data(GalleryModel.MARKS).stack
        if stack is not None and self._delegate.stack_rect(tile, stack, self.font()).contains(
            place
        ):
            return self.stack_clicked
        return self.star_clicked if self._delegate.star_rect(tile).contains(place) else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = event.position().toPoint()
        asked = self._on_badge(place)
        self._pressed = QPersistentModelIndex()
        if event.button() == Qt.MouseButton.LeftButton and asked is not None:
            asked.emit(self.indexAt(place))  # and the selection stays
            return
        plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
        if event.button() == Qt.MouseButton.LeftButton and plain:
            self._pressed = QPersistentModelIndex(self.indexAt(place))
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and index == self._pressed:
            self.picked.emit(index)
        self._pressed = QPersistentModelIndex()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._on_badge(event.position().toPoint()) is None:
            super().mouseDoubleClickEvent(event)
