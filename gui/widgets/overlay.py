"""A widget over others, which never move when it comes, grows or goes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QRect
from PySide6.QtWidgets import QWidget

MARGIN = 12
# As wide as it gets, in characters of its font: longer lines are hard to read.
WIDEST = 100
_MOVES = (QEvent.Type.Resize, QEvent.Type.Move, QEvent.Type.Show, QEvent.Type.LayoutRequest)


class Overlay(QObject):
    """Keeps a widget over the upper edge, or the lower, of whichever of the `hosts` is visible.

    ground: the widget that holds them all, whose child it becomes.
    """

    def __init__(
        self, widget: QWidget, hosts: Sequence[QWidget], ground: QWidget, below: bool = False
    ):
        super().__init__(widget)
        self._below = below
        self._widget = widget
        self._hosts = hosts
        self._ground = ground
        widget.setParent(ground)
        for watched in (widget, *hosts):
            watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in _MOVES:
            self._place()
        return False

    def _place(self) -> None:
        host = next((host for host in self._hosts if host.isVisible()), None)
        if host is None or self._widget.isHidden():
            return
        widest = WIDEST * self._widget.fontMetrics().averageCharWidth()
        width = min(host.width() - 2 * MARGIN, widest)
        height = max(self._widget.heightForWidth(width), self._widget.minimumSizeHint().height())
        top = host.height() - height - MARGIN if self._below else MARGIN
        corner = host.mapTo(self._ground, QPoint((host.width() - width) // 2, top))
        self._widget.setGeometry(QRect(corner.x(), corner.y(), width, height))
        self._widget.raise_()
