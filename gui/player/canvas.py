"""The canvas: one picture, fitted to the space or at its actual size, on a dark neutral ground."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, QSizeF, Qt, Signal, Slot
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from mlxvid.gui.widgets.painting import draw_badge, fitted
from mlxvid.gui.widgets.theme import ON_STAGE, colours

# Pixels that the mouse may move between press and release of a click.
CLICK_SLACK = 4
MARGIN = 24


class Canvas(QWidget):
    """Show `image`, or a few words if there is none.

    A click plays or pauses. Dragging moves the picture at actual size; else it takes the clip
    elsewhere. zoomed: :attr:`zoom` is another. copied: the frame is wanted on the clipboard.
    """

    clicked = Signal()
    dragged = Signal()
    copied = Signal()
    zoomed = Signal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Clip")
        self._image: QImage | None = None
        self._text = ""
        self._badge = ""
        self._actual = False
        self._fitted = False
        self._zoom = 0.0
        self._pan = QPointF()
        self._pressed: QPoint | None = None
        self._panned_from = QPointF()

    def sizeHint(self) -> QSize:
        return QSize(640, 400)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 120)

    # --- what is shown ----------------------------------------------------------------------------

    def set_image(self, image: QImage | None) -> None:
        self._image = image
        self._follow_zoom()
        self.update()

    def clear(self, text: str) -> None:
        """Show words in the middle instead of a picture."""
        self.set_badge("")
        self.set_text(text)
        self.set_image(None)

    @property
    def image(self) -> QImage | None:
        return self._image

    def set_text(self, text: str) -> None:
        """Set the words in the middle, shown while there is no picture."""
        self._text = text
        self.setAccessibleDescription(text)
        self.update()

    @property
    def text(self) -> str:
        return self._text

    def set_badge(self, badge: str) -> None:
        """Set a few words over the corner of the picture."""
        if badge != self._badge:
            self._badge = badge
            self.update()

    @property
    def badge(self) -> str:
        return self._badge

    @property
    def actual(self) -> bool:
        return self._actual

    def set_actual(self, actual: bool) -> None:
        """Show one pixel of the clip on one of the display, or fit the picture to the space."""
        self._actual = actual
        self._pan = QPointF()
        self.setCursor(Qt.CursorShape.OpenHandCursor if actual else Qt.CursorShape.ArrowCursor)
        self._follow_zoom()
        self.update()

    def set_fitted(self, always: bool) -> None:
        """Say whether pictures are fitted at actual size too, as previews are."""
        self._fitted = always
        self._follow_zoom()
        self.update()

    @property
    def zoom(self) -> float:
        """How many pixels of the display a pixel of the clip covers; 0 without a picture."""
        return self._zoom

    def _follow_zoom(self) -> None:
        zoom = 0.0
        if self._image is not None and not self._image.isNull():
            shown = self.place(self._image, self._area()).width()
            zoom = shown / self._size_on_screen(self._image).width()
        if zoom != self._zoom:
            self._zoom = zoom
            self.zoomed.emit()

    @property
    def is_exact(self) -> bool:
        """Whether the clip is shown at its actual size."""
        return self._actual and not self._fitted

    def set_pan(self, pan: QPointF) -> None:
        """Move the picture off the middle, at actual size.

        It moves until its edge is in the middle, and no further.
        """
        if self._image is not None and self.is_exact:
            size = self._size_on_screen(self._image)
            limit = QPointF(size.width() / 2, size.height() / 2)
            x = max(-limit.x(), min(pan.x(), limit.x()))
            y = max(-limit.y(), min(pan.y(), limit.y()))
            pan = QPointF(x, y)
            if pan != self._pan:
                self._pan = pan
                self.update()

    # --- where it is shown ------------------------------------------------------------------------

    def place(self, image: QImage, area: QRectF) -> QRectF:
        """The rectangle that a picture covers in `area`."""
        own = self._size_on_screen(image)
        size = own if self.is_exact else fitted(own, area)
        centre = area.center() + (self._pan if self.is_exact else QPointF())
        corner = QPointF(centre.x() - size.width() / 2, centre.y() - size.height() / 2)
        if self.is_exact:  # aligned to device pixels, or the picture would be blurred
            ratio = self.devicePixelRatioF()
            corner = QPointF(round(corner.x() * ratio) / ratio, round(corner.y() * ratio) / ratio)
        return QRectF(corner, size)

    def _size_on_screen(self, image: QImage) -> QSizeF:
        """The size of the clip of `image`, a pixel of it on each of the display."""
        return image.deviceIndependentSize() / self.devicePixelRatioF()

    def _area(self) -> QRectF:
        """Where a single picture may be."""
        return QRectF(self.rect())

    # --- events -----------------------------------------------------------------------------------

    @Slot()
    def copy(self) -> None:
        """Answer Edit > Copy, which calls this slot of what has the focus."""
        self.copied.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._follow_zoom()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(event.rect(), QColor(ON_STAGE.stage))
        self.paint_pictures(painter)
        if self._image is None and self._text:
            painter.setPen(QColor(ON_STAGE.faint))
            room = self.rect().adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
            painter.drawText(
                room, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._text
            )
        if self._badge:
            draw_badge(painter, self._badge, QPoint(12, 12), self.width() - 24)
        if self.hasFocus() and self.window().testAttribute(
            Qt.WidgetAttribute.WA_KeyboardFocusChange
        ):
            painter.setPen(QPen(QColor(colours(self.palette()).accent), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def paint_pictures(self, painter: QPainter) -> None:
        """Draw the picture; the comparison draws two."""
        if self._image is not None:
            self.draw(painter, self._image, self._area())

    def draw(self, painter: QPainter, image: QImage, area: QRectF) -> None:
        """Draw one picture into its place in `area`."""
        same_size = self.is_exact and image.devicePixelRatio() == 1
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not same_size)
        painter.drawImage(self.place(image, area), image)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position().toPoint()
            self._panned_from = self._pan

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None:
            return
        if self.is_exact:
            self.set_pan(self._panned_from + event.position() - QPointF(self._pressed))
        elif self._moved(event) >= QApplication.startDragDistance():
            self._pressed = None
            self.dragged.emit()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pressed is not None:
            moved = self._moved(event)
            self._pressed = None
            if moved <= CLICK_SLACK:
                self.clicked.emit()

    def _moved(self, event: QMouseEvent) -> int:
        """How far the mouse is from where it was pressed."""
        assert self._pressed is not None
        return (event.position().toPoint() - self._pressed).manhattanLength()
