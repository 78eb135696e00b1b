"""Two pictures: side by side, or one over the other with an edge between them to drag."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter
from PySide6.QtWidgets import QWidget

from .canvas import Canvas

GAP = 8
# Pixels from the edge within which the mouse drags it at actual size; elsewhere it pans.
REACH = 14


class CompareCanvas(Canvas):
    """A canvas with two pictures.

    wipe: whether the pictures lie over each other. edge: where the left one ends, from 0 to 1 of
    their width.
    """

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setAccessibleName("Compared clips")
        self.setMouseTracking(True)
        self.wipe = False
        self.edge = 0.5
        self._other: QImage | None = None
        self._dragging = False

    def set_images(self, left: QImage | None, right: QImage | None) -> None:
        self._other = right
        self.set_image(left)

    @property
    def images(self) -> tuple[QImage | None, QImage | None]:
        """The pictures, left and right."""
        return self._image, self._other

    def clear(self, text: str) -> None:
        self._other = None
        super().clear(text)

    def set_wipe(self, wipe: bool) -> None:
        self.wipe = wipe
        self._follow_zoom()
        self.update()

    def set_edge(self, edge: float) -> None:
        self.edge = max(0.0, min(edge, 1.0))
        self.update()

    def _area(self) -> QRectF:
        return self.areas()[0]

    # --- painting ---------------------------------------------------------------------------------

    def areas(self) -> tuple[QRectF, QRectF]:
        """The part of the canvas that each picture has."""
        whole = QRectF(self.rect())
        if self.wipe:
            return whole, whole
        half = (whole.width() - GAP) / 2
        return QRectF(0, 0, half, whole.height()), QRectF(half + GAP, 0, half, whole.height())

    def paint_pictures(self, painter: QPainter) -> None:
        if not self.wipe:
            for image, area in zip(self.images, self.areas(), strict=True):
                if image is not None:
                    painter.setClipRect(area)
                    self.draw(painter, image, area)
            painter.setClipping(False)
            return
        x = self._edge_x()
        whole = QRectF(self.rect())
        left = QRectF(0, 0, x, whole.height())
        right = QRectF(x, 0, whole.width() - x, whole.height())
        for image, side in zip(self.images, (left, right), strict=True):
            if image is not None:
                painter.setClipRect(side)
                self.draw(painter, image, whole)
        painter.setClipping(False)
        if self._image is not None or self._other is not None:
            self._paint_edge(painter, x)

    def _paint_edge(self, painter: QPainter, x: float) -> None:
        """Paint a line with a knob, light within dark, so that both are seen on any picture."""
        union = self._union()
        middle = union.center().y()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, grow in ((QColor(0, 0, 0, 110), 1.0), (QColor(255, 255, 255, 235), 0.0)):
            line = QRectF(x - 1, union.top(), 2, union.height())
            knob = QRectF(x - 5, middle - 16, 10, 32).adjusted(-grow, -grow, grow, grow)
            painter.setBrush(colour)
            painter.drawRect(line.adjusted(-grow, 0, grow, 0))
            painter.drawRoundedRect(knob, 5 + grow, 5 + grow)
        painter.restore()

    def _union(self) -> QRectF:
        """The rectangle that both pictures cover together."""
        whole = QRectF(self.rect())
        images = [image for image in (self._image, self._other) if image is not None]
        if not images:
            return whole
        covered = self.place(images[0], whole).united(self.place(images[-1], whole))
        return covered.intersected(whole)

    def _edge_x(self) -> float:
        union = self._union()
        return union.left() + self.edge * union.width()

    # --- the mouse --------------------------------------------------------------------------------

    def _drags_edge(self, event: QMouseEvent) -> bool:
        return self.wipe and (not self.actual or self._at_edge(event))

    def _at_edge(self, event: QMouseEvent) -> bool:
        return abs(event.position().x() - self._edge_x()) <= REACH

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self._dragging = event.button() == Qt.MouseButton.LeftButton and self._drags_edge(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragging:
            self._drag_edge(event.position())
        else:
            super().mouseMoveEvent(event)
        if self.wipe and self._at_edge(event):
            self.setCursor(Qt.CursorShape.SplitHCursor)
        elif self.actual:
            self.setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self.setCursor(Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._dragging = False
        super().mouseReleaseEvent(event)

    def _drag_edge(self, at: QPointF) -> None:
        union = self._union()
        self.set_edge((at.x() - union.left()) / max(union.width(), 1))
