"""The canvas: one picture, fitted to the space or at its actual size, on a quiet ground."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from mlxvid.gui.widgets.painting import draw_badge, fitted
from mlxvid.gui.widgets.theme import colours

# Pixels that the mouse may move between press and release of a click.
CLICK_SLACK = 4
MARGIN = 24


class Canvas(QWidget):
    """Show `image`, or a few words if there is none.

    A click plays or pauses; at actual size, dragging moves the picture.
    """

    clicked = Signal()
    pan_changed = Signal(QPointF)

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
        self._reduced = False
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
        self.update()

    def set_reduced(self, reduced: bool) -> None:
        """Say whether pictures are smaller than their clip: these are always fitted."""
        self._reduced = reduced
        self.update()

    @property
    def _is_exact(self) -> bool:
        """Whether one pixel of the picture is one of the display."""
        return self._actual and not self._reduced

    def set_pan(self, pan: QPointF) -> None:
        """Move the picture off the middle, at actual size.

        It moves until its edge is in the middle, and no further.
        """
        if self._image is not None and self._is_exact:
            size = self._size_on_screen(self._image)
            limit = QPointF(size.width() / 2, size.height() / 2)
            x = max(-limit.x(), min(pan.x(), limit.x()))
            y = max(-limit.y(), min(pan.y(), limit.y()))
            pan = QPointF(x, y)
            if pan != self._pan:
                self._pan = pan
                self.update()
                self.pan_changed.emit(pan)

    # --- where it is shown ------------------------------------------------------------------------

    def place(self, image: QImage, area: QRectF) -> QRectF:
        """The rectangle that a picture covers in `area`."""
        size = self._size_on_screen(image) if self._is_exact else fitted(QSizeF(image.size()), area)
        centre = area.center() + (self._pan if self._is_exact else QPointF())
        corner = QPointF(centre.x() - size.width() / 2, centre.y() - size.height() / 2)
        if self._is_exact:  # aligned to device pixels, or the picture would be blurred
            ratio = self.devicePixelRatioF()
            corner = QPointF(round(corner.x() * ratio) / ratio, round(corner.y() * ratio) / ratio)
        return QRectF(corner, size)

    def _size_on_screen(self, image: QImage) -> QSizeF:
        return QSizeF(image.size()) / self.devicePixelRatioF()

    # --- events -----------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        palette = colours(self.palette())
        painter.fillRect(event.rect(), QColor(palette.stage))
        self.paint_pictures(painter)
        if self._image is None and self._text:
            painter.setPen(QColor(palette.faint))
            room = self.rect().adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
            painter.drawText(
                room, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._text
            )
        if self._badge:
            draw_badge(painter, self._badge, QPoint(12, 12), self.width() - 24)
        if self.hasFocus() and self.window().testAttribute(
            Qt.WidgetAttribute.WA_KeyboardFocusChange
        ):
            painter.setPen(QPen(QColor(palette.accent), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def paint_pictures(self, painter: QPainter) -> None:
        """Draw the picture; the comparison draws two."""
        if self._image is not None:
            self.draw(painter, self._image, QRectF(self.rect()))

    def draw(self, painter: QPainter, image: QImage, area: QRectF) -> None:
        """Draw one picture into its place in `area`."""
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not self._is_exact)
        painter.drawImage(self.place(image, area), image)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position().toPoint()
            self._panned_from = self._pan

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is not None and self._is_exact:
            self.set_pan(self._panned_from + event.position() - QPointF(self._pressed))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pressed is not None:
            moved = (event.position().toPoint() - self._pressed).manhattanLength()
            self._pressed = None
            if moved <= CLICK_SLACK:
                self.clicked.emit()
