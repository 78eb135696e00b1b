"""The part of a picture that a clip keeps: shown, and moved."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from mlxvid.gui.widgets.theme import colours, faint_label

_LONGEST = 320
_DIM = QColor(0, 0, 0, 150)
_KEY_STEP = 0.05


def kept_part(picture: QRect, ratio: float, focus: float) -> QRectF:
    """What a clip of that width to height keeps of a picture drawn at a place.

    focus: the share of what is cropped that goes at the left or top.
    """
    width = min(picture.width(), picture.height() * ratio)
    height = min(picture.height(), picture.width() / ratio)
    left = picture.left() + (picture.width() - width) * focus
    top = picture.top() + (picture.height() - height) * focus
    return QRectF(left, top, width, height)


def dim_rest(painter: QPainter, picture: QRect, kept: QRectF) -> None:
    """Darken what is cropped off."""
    whole = QRectF(picture)
    painter.fillRect(QRectF(whole.topLeft(), kept.bottomLeft()), _DIM)
    painter.fillRect(QRectF(kept.topRight(), whole.bottomRight()), _DIM)
    painter.fillRect(QRectF(whole.topLeft(), kept.topRight()), _DIM)
    painter.fillRect(QRectF(kept.bottomLeft(), whole.bottomRight()), _DIM)


class CropView(QWidget):
    """A picture whose kept part is moved by dragging or with the arrow keys.

    moved: the focus is another.
    """

    moved = Signal(float)

    def __init__(self, picture: QPixmap, ratio: float, focus: float):
        super().__init__()
        self._picture = picture
        self._ratio = ratio
        self._focus = focus
        self._grip = QPoint()
        self.setAccessibleName("Part of the picture that is kept")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.SizeAllCursor)
        aspect = Qt.AspectRatioMode.KeepAspectRatio
        self.setFixedSize(picture.size().scaled(QSize(_LONGEST, _LONGEST), aspect))

    def _move(self, focus: float) -> None:
        focus = round(min(max(focus, 0.0), 1.0), 2)
        if focus != self._focus:
            self._focus = focus
            self.update()
            self.moved.emit(focus)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._grip = event.position().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = event.position().toPoint()
        by = place - self._grip
        kept = kept_part(self.rect(), self._ratio, 0.0)
        across = self.width() - kept.width()
        down = self.height() - kept.height()
        share = by.x() / across if across > down else by.y() / max(1.0, down)
        self._grip = place
        self._move(self._focus + share)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Up):
            self._move(self._focus - _KEY_STEP)
        elif event.key() in (Qt.Key.Key_Right, Qt.Key.Key_Down):
            self._move(self._focus + _KEY_STEP)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(self.rect(), self._picture)
        kept = kept_part(self.rect(), self._ratio, self._focus)
        dim_rest(painter, self.rect(), kept)
        painter.setPen(QPen(QColor(colours(self.palette()).accent), 2))
        painter.drawRect(kept.adjusted(1, 1, -1, -1))


class CropPopup(QFrame):
    """The view with a line that says what to do. moved: the focus is another."""

    moved = Signal(float)

    def __init__(self, picture: QPixmap, ratio: float, focus: float, parent: QWidget):
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("crop")
        self.setProperty("role", "popup")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.view = CropView(picture, ratio, focus)
        self.view.moved.connect(self.moved)
        says: QLabel = faint_label("Drag the part to keep")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addWidget(self.view, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(says)

    def show_at(self, place: QPoint) -> None:
        """Open below a place on the screen."""
        self.adjustSize()
        screen = self.screen().availableGeometry()
        place.setY(min(place.y(), screen.bottom() - self.height()))
        self.move(place)
        self.show()
        self.view.setFocus()
