"""The filmstrip: the clip in a row of small pictures, with playhead and marks to drag."""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from mlxvid.gui.core.clip_facts import length_text
from mlxvid.gui.core.playhead import Playhead
from mlxvid.gui.core.reel import Reel
from mlxvid.gui.widgets.painting import badge_size, draw_badge
from mlxvid.gui.widgets.theme import ON_STAGE, colours, small_font

ROW_HEIGHT = 46
ROW_GAP = 3
# Pixels above and below the rows, in which the playhead stands out.
MARGIN = 4
HANDLE = 7
# Pixels from a mark within which the mouse drags it.
REACH = 6
# Milliseconds between two cells; drawing one takes about one, and leaves the rest to the window.
PACE = 4
# So many times larger than its cell a picture is first made coarsely, then smoothly.
COARSE = 4


class Drag(Enum):
    """What the mouse is dragging."""

    PLAYHEAD = auto()
    FIRST = auto()
    LAST = auto()


class Filmstrip(QWidget):
    """One row for each reel, all on the playhead's time.

    Cells are drawn one at a time, so that a long clip doesn't block the window.
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
            "Drag to move through the clip; the arrow keys step by one frame."
        )
        self._playhead = playhead
        self._reels = reels
        self._marks = marks
        self._places: list[list[QRect]] = [[] for _ in reels]
        self._cells: list[list[QPixmap | None]] = [[] for _ in reels]
        self._stale: list[tuple[int, int]] = []  # (row, cell) still to be drawn
        self._dragged: Drag | None = None
        self._play_after_drag = False  # the clip was playing when the drag began
        self._drawn_at = 0
        self._timer = QTimer(self)
        self._timer.setInterval(PACE)
        self._timer.timeout.connect(self._fill)
        playhead.moved.connect(self._move)
        playhead.marks_changed.connect(self.update)
        playhead.length_changed.connect(self.refresh)
        for reel in reels:
            reel.begun.connect(self.refresh)
            reel.grown.connect(self._follow)
            reel.ended.connect(self._follow)

    def sizeHint(self) -> QSize:
        rows = len(self._reels)
        return QSize(400, rows * ROW_HEIGHT + (rows - 1) * ROW_GAP + 2 * MARGIN)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    # --- the small pictures -----------------------------------------------------------------------

    def refresh(self) -> None:
        """Draw all cells again, one after the other; each keeps its picture until then."""
        self._places = [self._layout(row) for row in range(len(self._reels))]
        for row, places in enumerate(self._places):
            self._cells[row] = (self._cells[row] + [None] * len(places))[: len(places)]
        stale = [
            (row, cell) for row, places in enumerate(self._places) for cell in range(len(places))
        ]
        # Empty cells first: if previews come faster than cells are drawn, the last ones would
        # otherwise stay empty.
        self._stale = sorted(stale, key=lambda cell: self._cells[cell[0]][cell[1]] is not None)
        self._timer.start()
        self.update()

    def _follow(self) -> None:
        """Follow a reel that has more frames, or fewer than it promised."""
        if self._places != [self._layout(row) for row in range(len(self._reels))]:
            self.refresh()
        elif self._stale:
            self._timer.start()

    def _fill(self) -> None:
        """Draw the next cell whose frame is decoded."""
        for position, (row, cell) in enumerate(self._stale):
            place = self._places[row][cell]
            reel = self._reels[row]
            index = reel.index_at(place.center().x() / max(self.width(), 1) * self._duration())
            image = reel.image(index) if index < len(reel.frames) else None
            if image is not None:
                del self._stale[position]
                self._cells[row][cell] = _cropped(image, place.size(), self.devicePixelRatioF())
                self.update(place)
                return
        self._timer.stop()

    @property
    def drawing(self) -> bool:
        """Whether cells are still being drawn."""
        return self._timer.isActive()

    def cells(self, row: int = 0) -> list[tuple[QRect, QPixmap | None]]:
        """Place and picture of each cell of a row; None for one that is not drawn yet."""
        return list(zip(self._places[row], self._cells[row], strict=True))

    def next_cells(self, row: int = 0) -> list[int]:
        """The cells of a row still to be drawn, in that order."""
        return [cell for stale_row, cell in self._stale if stale_row == row]

    def _layout(self, row: int) -> list[QRect]:
        """The cells of a row.

        There are as many as fit at the clip's aspect ratio; they cover the row's part of the time.
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

    def _frame_at(self, x: float) -> int:
        frame = int(x / max(self.width(), 1) * self._playhead.count)
        return max(0, min(frame, self._playhead.count - 1))

    def _left(self, frame: int) -> int:
        """The x at which a frame begins."""
        return round(frame / max(self._playhead.count, 1) * self.width())

    def _centre(self, frame: int) -> int:
        """The x of a frame's middle, where the playhead stands."""
        return round((frame + 0.5) / max(self._playhead.count, 1) * self.width())

    def _move(self, index: int) -> None:
        for frame in (self._drawn_at, index):
            self.update(self._centre(frame) - 5, 0, 10, self.height())
        self._drawn_at = index

    # --- painting ---------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        accent = QColor(colours(self.palette()).accent)
        rows = self.rect().adjusted(0, MARGIN, 0, -MARGIN)
        painter.fillRect(self.rect(), QColor(ON_STAGE.stage))
        for places, cells in zip(self._places, self._cells, strict=True):
            for place, pixmap in zip(places, cells, strict=True):
                painter.fillRect(place, QColor(ON_STAGE.field))
                if pixmap is not None:
                    painter.drawPixmap(place, pixmap)
        if not self._playhead.count:
            return
        if self._playhead.trimmed:
            self._paint_marks(painter, rows, QColor(ON_STAGE.stage), accent)
        self._paint_playhead(painter)
        if self.hasFocus() and self.window().testAttribute(
            Qt.WidgetAttribute.WA_KeyboardFocusChange
        ):
            painter.setPen(accent)
            painter.drawRect(rows.adjusted(0, 0, -1, -1))

    def _paint_marks(self, painter: QPainter, rows: QRect, shade: QColor, accent: QColor) -> None:
        """Shade what is left out, and frame what is kept, with two handles."""
        first = self._left(self._playhead.first)
        last = self._left(self._playhead.last + 1)
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
        self._paint_length(painter, rows, first, last)

    def _paint_length(self, painter: QPainter, rows: QRect, first: int, last: int) -> None:
        """Say how much is kept: between the marks, or beside them where that is too little."""
        painter.save()
        painter.setFont(small_font(self.font()))
        width = badge_size(painter, self.marked).width()
        left = first + (last - first - width) // 2
        if width > last - first - 2 * HANDLE:
            left = last + REACH if last + REACH + width <= self.width() else first - REACH - width
        draw_badge(painter, self.marked, QPoint(left, rows.top() + REACH), self.width())
        painter.restore()

    @property
    def marked(self) -> str:
        """How much is between the marks."""
        count = self._playhead.last - self._playhead.first + 1
        return length_text(count, self._playhead.fps)

    def _paint_playhead(self, painter: QPainter) -> None:
        x = self._centre(self._playhead.index)
        painter.fillRect(x - 2, 0, 4, self.height(), QColor(0, 0, 0, 120))
        painter.fillRect(x - 1, 0, 2, self.height(), QColor(255, 255, 255))

    # --- the mouse --------------------------------------------------------------------------------

    def _under(self, at: QPoint) -> Drag:
        """What is under the mouse.

        Marks can be dragged only if something is left out: at the ends they would be in the way.
        """
        if self._marks and self._playhead.trimmed:
            first = self._left(self._playhead.first)
            last = self._left(self._playhead.last + 1)
            if first - REACH / 2 <= at.x() <= first + HANDLE + REACH / 2:
                return Drag.FIRST
            if last - HANDLE - REACH / 2 <= at.x() <= last + REACH / 2:
                return Drag.LAST
        return Drag.PLAYHEAD

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._playhead.count:
            self._dragged = self._under(event.position().toPoint())
            self._play_after_drag = self._playhead.playing
            self._playhead.pause()
            self._drag(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged is not None:
            self._drag(event.position().x())
        else:
            at_mark = self._under(event.position().toPoint()) is not Drag.PLAYHEAD
            self.setCursor(Qt.CursorShape.SizeHorCursor if at_mark else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._dragged is not None:
            self._dragged = None
            if self._play_after_drag:
                self._playhead.play()

    def _drag(self, x: float) -> None:
        """Move what is dragged to `x`; a mark takes the playhead along, to show the cut."""
        head = self._playhead
        frame = self._frame_at(x)
        if self._dragged is Drag.FIRST:
            frame = min(frame, head.last)
            head.mark_in(frame)
        elif self._dragged is Drag.LAST:
            frame = max(frame, head.first)
            head.mark_out(frame)
        head.seek(frame)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.refresh()


def _cropped(image: QImage, size: QSize, ratio: float) -> QPixmap:
    """A picture that fills `size`, cropped to its middle if the aspect ratios differ."""
    target = size * ratio
    cover = Qt.AspectRatioMode.KeepAspectRatioByExpanding
    if image.width() > COARSE * target.width() and image.height() > COARSE * target.height():
        image = image.scaled(target * COARSE, cover)  # smoothing all of a large one takes long
    scaled = image.scaled(target, cover, Qt.TransformationMode.SmoothTransformation)
    corner = QPoint(
        (scaled.width() - target.width()) // 2, (scaled.height() - target.height()) // 2
    )
    pixmap = QPixmap.fromImage(scaled.copy(QRect(corner, target)))
    pixmap.setDevicePixelRatio(ratio)
    return pixmap
