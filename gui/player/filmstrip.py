"""The clip in a row of small pictures: where one is, where the marks are, and the place to drag
through it.
"""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from mlxvid.gui.core.playhead import Playhead
from mlxvid.gui.core.reel import Reel
from mlxvid.gui.widgets.theme import colours

ROW_HEIGHT = 46
ROW_GAP = 3
# Room above and below the rows, in which the playhead stands out.
MARGIN = 4
HANDLE = 7
# How near a mark the mouse has to be to take hold of it, in pixels.
REACH = 6
# Milliseconds between two cells: drawing one takes about one, and the window has the rest.
PACE = 4


class Hold(Enum):
    """What the mouse has hold of."""

    PLAYHEAD = auto()
    FIRST = auto()
    LAST = auto()


class Filmstrip(QWidget):
    """One row for each reel, all on the playhead's time. Cells are filled one at a time, so that a
    long clip doesn't stop the window.
    """

    def __init__(
        self,
        playhead: Playhead,
        reels: list[Reel],
        marks: bool = True,
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Filmstrip")
        self.setAccessibleDescription(
            "Drag to move through the clip; the arrow keys go frame by frame."
        )
        self._playhead, self._reels, self._marks = playhead, reels, marks
        self._places: list[list[QRect]] = [[] for _ in reels]
        self._cells: list[list[QPixmap | None]] = [[] for _ in reels]
        self._stale: list[tuple[int, int]] = []  # (row, cell) still to be drawn
        self._hold: Hold | None = None
        self._go_on = False  # whether the clip played before it was dragged
        self._drawn_at = 0
        self._timer = QTimer(self)
        self._timer.setInterval(PACE)
        self._timer.timeout.connect(self._fill)
        playhead.moved.connect(self._move)
        playhead.marks_changed.connect(self.update)
        playhead.length_changed.connect(self.refresh)
        for reel in reels:
            reel.begun.connect(self.refresh)
            reel.grown.connect(self._look)
            reel.ended.connect(self._look)

    def sizeHint(self) -> QSize:
        rows = len(self._reels)
        return QSize(400, rows * ROW_HEIGHT + (rows - 1) * ROW_GAP + 2 * MARGIN)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    # --- the small pictures -----------------------------------------------------------------------

    def refresh(self) -> None:
        """Draw all cells anew, one after the other; what they showed stays until then."""
        self._places = [self._layout(row) for row in range(len(self._reels))]
        for row, places in enumerate(self._places):
            self._cells[row] = (self._cells[row] + [None] * len(places))[: len(places)]
        stale = [
            (row, cell) for row, places in enumerate(self._places) for cell in range(len(places))
        ]
        # The empty ones first: where previews come faster than the cells are drawn, the last would
        # stay empty for ever.
        self._stale = sorted(stale, key=lambda place: self._cells[place[0]][place[1]] is not None)
        self._timer.start()
        self.update()

    def _look(self) -> None:
        """More frames are there, or fewer than were promised."""
        if self._places != [self._layout(row) for row in range(len(self._reels))]:
            self.refresh()
        elif self._stale:
            self._timer.start()

    def _fill(self) -> None:
        """Draw the next cell whose frame is there."""
        for position, (row, cell) in enumerate(self._stale):
            place, reel = self._places[row][cell], self._reels[row]
            index = reel.index_at(place.center().x() / max(self.width(), 1) * self._duration())
            if index < len(reel.frames):
                del self._stale[position]
                self._cells[row][cell] = _cropped(
                    reel.image(index), place.size(), self.devicePixelRatioF()
                )
                self.update(place)
                return
        self._timer.stop()

    def _layout(self, row: int) -> list[QRect]:
        """The cells of a row: as many as fit at the clip's shape, exactly over the row's part of
        the time.
        """
        reel = self._reels[row]
        if not reel.count or not self._playhead.count or reel.facts is None:
            return []
        width = max(round(self.width() * min(reel.count / reel.fps / self._duration(), 1)), 1)
        shape = min(max(reel.facts.width / reel.facts.height, 0.5), 2.5)
        count = max(min(round(width / (ROW_HEIGHT * shape)), reel.count), 1)
        edges = [round(width * i / count) for i in range(count + 1)]
        top = MARGIN + row * (ROW_HEIGHT + ROW_GAP)
        return [
            QRect(left, top, right - left, ROW_HEIGHT)
            for left, right in zip(edges, edges[1:], strict=False)
        ]

    # --- places and times -------------------------------------------------------------------------

    def _duration(self) -> float:
        return self._playhead.count / self._playhead.fps

    def _frame(self, x: float) -> int:
        return max(
            0, min(int(x / max(self.width(), 1) * self._playhead.count), self._playhead.count - 1)
        )

    def _left(self, frame: int) -> int:
        """Where a frame begins."""
        return round(frame / max(self._playhead.count, 1) * self.width())

    def _head(self, frame: int) -> int:
        """Where the playhead stands for a frame: in its middle."""
        return round((frame + 0.5) / max(self._playhead.count, 1) * self.width())

    def _move(self, index: int) -> None:
        for frame in (self._drawn_at, index):
            self.update(self._head(frame) - 5, 0, 10, self.height())
        self._drawn_at = index

    # --- painting ---------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        palette = colours(self.palette())
        rows = self.rect().adjusted(0, MARGIN, 0, -MARGIN)
        painter.fillRect(rows, QColor(palette.stage))
        for places, cells in zip(self._places, self._cells, strict=True):
            for place, pixmap in zip(places, cells, strict=True):
                painter.fillRect(place, QColor(palette.field))
                if pixmap is not None:
                    painter.drawPixmap(place, pixmap)
        if not self._playhead.count:
            return
        if self._playhead.trimmed:
            self._paint_marks(painter, rows, QColor(palette.stage), QColor(palette.accent))
        self._paint_playhead(painter)
        if self.hasFocus() and self.window().testAttribute(
            Qt.WidgetAttribute.WA_KeyboardFocusChange
        ):
            painter.setPen(QColor(palette.accent))
            painter.drawRect(rows.adjusted(0, 0, -1, -1))

    def _paint_marks(self, painter: QPainter, rows: QRect, shade: QColor, accent: QColor) -> None:
        """What is left out is shaded, what is kept has a frame with two handles."""
        first, last = self._left(self._playhead.first), self._left(self._playhead.last + 1)
        shade.setAlphaF(0.75)
        painter.fillRect(QRect(0, rows.top(), first, rows.height()), shade)
        painter.fillRect(QRect(last, rows.top(), self.width() - last, rows.height()), shade)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(accent)
        for top in (rows.top(), rows.bottom() - 1):
            painter.drawRect(first, top, last - first, 2)
        for left in (first, last - HANDLE):
            painter.drawRoundedRect(left, rows.top(), HANDLE, rows.height(), 2, 2)
        painter.setBrush(QColor(255, 255, 255, 190))
        for middle in (first + HANDLE / 2, last - HANDLE / 2):
            painter.drawRect(QRectF(middle - 0.75, rows.center().y() - 6, 1.5, 12))
        painter.restore()

    def _paint_playhead(self, painter: QPainter) -> None:
        x = self._head(self._playhead.index)
        painter.fillRect(x - 2, 0, 4, self.height(), QColor(0, 0, 0, 120))
        painter.fillRect(x - 1, 0, 2, self.height(), QColor(255, 255, 255))

    # --- the mouse --------------------------------------------------------------------------------

    def _what(self, at: QPoint) -> Hold:
        """What is under the mouse; marks only where something is left out, since at the ends they
        would be in the way.
        """
        if self._marks and self._playhead.trimmed:
            for hold, x in (
                (Hold.FIRST, self._left(self._playhead.first)),
                (Hold.LAST, self._left(self._playhead.last + 1)),
            ):
                inwards = HANDLE if hold is Hold.FIRST else -HANDLE
                if min(x, x + inwards) - REACH / 2 <= at.x() <= max(x, x + inwards) + REACH / 2:
                    return hold
        return Hold.PLAYHEAD

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._playhead.count:
            self._hold = self._what(event.position().toPoint())
            self._go_on = self._playhead.playing
            self._playhead.pause()
            self._drag(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._hold is not None:
            self._drag(event.position().x())
        else:
            at_mark = self._what(event.position().toPoint()) is not Hold.PLAYHEAD
            self.setCursor(Qt.CursorShape.SizeHorCursor if at_mark else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._hold is not None:
            self._hold = None
            if self._go_on:
                self._playhead.play()

    def _drag(self, x: float) -> None:
        """Move what is held to `x`; a mark takes the playhead with it, so that one sees where one
        cuts.
        """
        head, frame = self._playhead, self._frame(x)
        if self._hold is Hold.FIRST:
            frame = min(frame, head.last)
            head.mark_in(frame)
        elif self._hold is Hold.LAST:
            frame = max(frame, head.first)
            head.mark_out(frame)
        head.seek(frame)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.refresh()


def _cropped(image: QImage, size: QSize, ratio: float) -> QPixmap:
    """A picture that fills `size`, its middle where the shapes differ."""
    target = size * ratio
    scaled = image.scaled(
        target,
        Qt.AspectRatioMode.KeepAspectRatioByExpanding,
        Qt.TransformationMode.SmoothTransformation,
    )
    corner = QPoint(
        (scaled.width() - target.width()) // 2, (scaled.height() - target.height()) // 2
    )
    pixmap = QPixmap.fromImage(scaled.copy(QRect(corner, target)))
    pixmap.setDevicePixelRatio(ratio)
    return pixmap
