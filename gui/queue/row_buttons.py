"""Buttons in the rows of a list, shown in the row under the mouse and in the current one."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    Signal,
)
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QListView, QToolTip

from mlxvid.gui.widgets.icons import icon, icon_side

# Pixels around a button's icon, and from the row's edge to the last button.
_AROUND = 3
EDGE = 12

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class RowButton:
    """name: what it does. picture: an icon's name. tip: its tooltip."""

    name: str
    picture: str
    tip: str


class RowButtons(QObject):
    """The buttons of a view, whose model has them at `role`. pressed: the row, a button's name."""

    pressed = Signal(QModelIndex, str)

    def __init__(self, view: QListView, role: int):
        super().__init__(view)
        self._view = view
        self._role = role
        self._down: tuple[int, str] | None = None
        view.viewport().installEventFilter(self)

    @property
    def side(self) -> int:
        """The side of a button, in pixels."""
        return icon_side(self._view.font()) + 2 * _AROUND

    def places(self, row: QRect, count: int) -> list[QRect]:
        """Where `count` buttons are in a row: at its right, in its middle."""
        side = self.side
        left = row.right() - EDGE - count * side
        top = row.center().y() - side // 2
        return [QRect(left + place * side, top, side, side) for place in range(count)]

    def paint(self, painter: QPainter, row: QRect, buttons: tuple[RowButton, ...]) -> None:
        """Draw a row's buttons."""
        for button, place in zip(buttons, self.places(row, len(buttons)), strict=True):
            inner = place.adjusted(_AROUND, _AROUND, -_AROUND, -_AROUND)
            icon(button.picture).paint(painter, inner)

    def at(self, place: QPoint) -> tuple[QModelIndex, RowButton] | None:
        """The row and the button at a place of the viewport."""
        index = self._view.indexAt(place)
        if not index.isValid():
            return None
        buttons = index.data(self._role)
        rects = self.places(self._view.visualRect(index), len(buttons))
        for button, rect in zip(buttons, rects, strict=True):
            if rect.contains(place):
                return index, button
        return None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take what is done to a button before the list does; a double click is two."""
        if isinstance(event, QHelpEvent):
            found = self.at(event.pos())
            if found is not None:
                QToolTip.showText(event.globalPos(), found[1].tip, self._view)
            return found is not None
        if not isinstance(event, QMouseEvent):
            return False
        found = self.at(event.position().toPoint())
        here = None if found is None else (found[0].row(), found[1].name)
        if event.type() in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick):
            self._down = here
            return here is not None
        if event.type() == QEvent.Type.MouseButtonRelease and self._down is not None:
            if here == self._down and found is not None:
                self.pressed.emit(found[0], found[1].name)
            self._down = None
            return True
        return False
