"""Two pictures in one place: beside each other, or one over the other with an edge between them
that is dragged.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter
from PySide6.QtWidgets import QWidget

from .canvas import Canvas

GAP = 8
# How near the edge the mouse takes hold of it at 1:1, where it moves the picture everywhere else.
REACH = 14


class CompareCanvas(Canvas):
    """`wipe`: whether the pictures lie over each other; `edge`: where the left one ends, from 0 to
    1 of their width.
    """

    edge_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setAccessibleName("Two takes")
        self.setMouseTracking(True)
        self.wipe = False
        self.edge = 0.5
        self._other: QImage | None = None
        self._dragging = False

    def set_images(self, left: QImage | None, right: QImage | None) -> None:
        self._other = right
        self.set_image(left)

    def clear(self, text: str) -> None:
        self._other = None
        super().clear(text)

    def set_wipe(self, wipe: bool) -> None:
        self.wipe = wipe
        self.update()

    def set_edge(self, edge: float) -> None:
        self.edge = max(0.0, min(edge, 1.0))
        self.update()
        self.edge_changed.emit(self.edge)

    # --- painting ---------------------------------------------------------------------------------

    def areas(self) -> tuple[QRectF, QRectF]:
        """Where each picture has its room."""
        whole = QRectF(self.rect())
        if self.wipe:
            return whole, whole
        half = (whole.width() - GAP) / 2
        return QRectF(0, 0, half, whole.height()), QRectF(half + GAP, 0, half, whole.height())

    def paint_pictures(self, painter: QPainter) -> None:
        if not self.wipe:
            for image, area in zip((self._image, self._other), self.areas(), strict=True):
                if image is not None:
                    painter.setClipRect(area)
                    self.draw(painter, image, area)
            painter.setClipping(False)
            return
        x = self._edge_x()
        whole = QRectF(self.rect())
        for image, side in (
            (self._image, QRectF(0, 0, x, whole.height())),
            (self._other, QRectF(x, 0, whole.width() - x, whole.height())),
        ):
            if image is not None:
                painter.setClipRect(side)
                self.draw(painter, image, whole)
        painter.setClipping(False)
        if self._image is not None or self._other is not None:
            self._paint_edge(painter, x)

    def _paint_edge(self, painter: QPainter, x: float) -> None:
        """A line and a knob on it, light within dark, so that they are seen on any picture."""
        middle = self._union().center().y()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, grow in ((QColor(0, 0, 0, 110), 1.0), (QColor(255, 255, 255, 235), 0.0)):
            painter.setBrush(colour)
            painter.drawRect(
                QRectF(x - 1 - grow, self._union().top(), 2 + 2 * grow, self._union().height())
            )
            painter.drawRoundedRect(
                QRectF(x - 5 - grow, middle - 16 - grow, 10 + 2 * grow, 32 + 2 * grow),
                5 + grow,
                5 + grow,
            )
        painter.restore()

    def _union(self) -> QRectF:
        """What both pictures cover together."""
        whole = QRectF(self.rect())
        places = [
            self.place(image, whole) for image in (self._image, self._other) if image is not None
        ]
        return (places[0].united(places[-1]) if places else whole).intersected(whole)

    def _edge_x(self) -> float:
        union = self._union()
        return union.left() + self.edge * union.width()

    # --- the mouse --------------------------------------------------------------------------------

    def _near_edge(self, event: QMouseEvent) -> bool:
        return self.wipe and (
            not self.actual or abs(event.position().x() - self._edge_x()) <= REACH
        )

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self._dragging = event.button() == Qt.MouseButton.LeftButton and self._near_edge(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragging:
            self._drag_edge(event.position())
        else:
            super().mouseMoveEvent(event)
        if self.wipe and abs(event.position().x() - self._edge_x()) <= REACH:
            self.setCursor(Qt.CursorShape.SplitHCursor)
        else:
            self.setCursor(
                Qt.CursorShape.OpenHandCursor if self.actual else Qt.CursorShape.ArrowCursor
            )

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._dragging = False
        super().mouseReleaseEvent(event)

    def _drag_edge(self, at: QPointF) -> None:
        union = self._union()
        self.set_edge((at.x() - union.left()) / max(union.width(), 1))
