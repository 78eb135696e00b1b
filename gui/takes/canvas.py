"""The pictures of a sheet, with their labels; one of them is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import QWidget

from mlxvid.gui.widgets.icons import icon, icon_side
from mlxvid.gui.widgets.painting import draw_badge, fitted
from mlxvid.gui.widgets.theme import ON_STAGE, Colours, colours, small_font

from .layout import Layout, laid_out
from .sheet import Sheet

MARGIN = 16
_STEPS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class TakesCanvas(QWidget):
    """Shows the images of a sheet's cells. chosen: the number of the cell that is chosen.

    kept, rejected: the numbers of cells that are marked so.
    """

    chosen_changed = Signal()
    opened = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Takes")
        self.sheet: Sheet | None = None
        self.chosen = 0
        self.kept: set[int] = set()
        self.rejected: set[int] = set()
        self.deeds: dict[Qt.Key, Callable[[], None]] = {}  # what other keys do
        self._images: Sequence[QImage | None] = ()

    def sizeHint(self) -> QSize:
        return QSize(640, 400)

    def set_sheet(self, sheet: Sheet | None) -> None:
        """Show another sheet, whose first clip is chosen."""
        self.sheet = sheet
        self._images = ()
        self.kept = set()
        self.rejected = set()
        self.chosen = 0
        if sheet is not None and sheet.cells[0] is None:
            self.chosen = next(place for place, cell in enumerate(sheet.cells) if cell is not None)
        self.update()
        self.chosen_changed.emit()

    def set_images(self, images: Sequence[QImage | None]) -> None:
        """Show these in the cells."""
        self._images = images
        self.update()

    @property
    def images(self) -> Sequence[QImage | None]:
        return self._images

    def mark(self, kept: set[int], rejected: set[int]) -> None:
        """Show which cells are kept and which rejected."""
        self.kept = kept
        self.rejected = rejected
        self.update()

    def choose(self, place: int) -> None:
        """Choose a cell that has a clip."""
        sheet = self.sheet
        if sheet is None or not 0 <= place < len(sheet.cells) or sheet.cells[place] is None:
            return
        self.chosen = place
        self.update()
        self.chosen_changed.emit()

    # --- keys and mouse ---------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Take the keys before shortcuts of the window do."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            if self._place_for(event) is not None or self._deed_for(event) is not None:
                event.accept()
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        place = self._place_for(event)
        deed = self._deed_for(event)
        if place is not None:
            self.choose(place)
        elif deed is not None:
            deed()
        else:
            super().keyPressEvent(event)

    def _deed_for(self, event: QKeyEvent) -> Callable[[], None] | None:
        return self.deeds.get(Qt.Key(event.key())) if not event.modifiers() else None

    def _place_for(self, event: QKeyEvent) -> int | None:
        """The cell that a key chooses; None for other keys."""
        plain = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if self.sheet is None or plain != Qt.KeyboardModifier.NoModifier:
            return None
        key = Qt.Key(event.key())
        if key in _STEPS:
            x, y = _STEPS[key]
            column = self.chosen % self.sheet.columns + x
            inside = 0 <= column < self.sheet.columns
            return self.chosen + x + y * self.sheet.columns if inside else self.chosen
        if Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            return int(key) - int(Qt.Key.Key_1)
        return None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self._cell_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and place is not None:
            self.choose(place)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._cell_at(event.position()) == self.chosen:
            self.opened.emit()

    def _cell_at(self, at: QPointF) -> int | None:
        if self.sheet is None:
            return None
        cells = self._layout(self.sheet).cells
        return next((place for place, cell in enumerate(cells) if cell.contains(at)), None)

    # --- painting ---------------------------------------------------------------------------------

    def _layout(self, sheet: Sheet) -> Layout:
        area = QRectF(self.rect()).adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        return laid_out(sheet, area, self.fontMetrics())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        look = colours(self.palette())
        painter.fillRect(event.rect(), QColor(look.stage))
        if self.sheet is None:
            return
        painter.setRenderHints(
            QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform
        )
        layout = self._layout(self.sheet)
        paint_labels(painter, self.sheet, layout, QColor(ON_STAGE.text))
        for place, area in enumerate(layout.cells):
            self._paint_cell(painter, place, area, look)

    def _paint_cell(self, painter: QPainter, place: int, area: QRectF, look: Colours) -> None:
        assert self.sheet is not None
        image = self._images[place] if place < len(self._images) else None
        shown = area
        if image is not None:
            shown = QRectF(QPointF(), fitted(QSizeF(image.size()), area))
            shown.moveCenter(area.center())
            painter.setOpacity(0.3 if place in self.rejected else 1.0)
            painter.drawImage(shown, image)
            painter.setOpacity(1.0)
        elif self.sheet.cells[place] is None:
            painter.setPen(QColor(ON_STAGE.faint))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "Not made")
        corner = shown.topLeft().toPoint() + QPoint(8, 8)
        painter.setFont(small_font(self.font()))
        if place in self.rejected:
            draw_badge(painter, "Rejected", corner, int(shown.width()) - 16)
        elif place in self.kept:
            side = icon_side(self.font()) + 6
            disc = QRectF(corner.x(), corner.y(), side, side)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(0, 0, 0, 130))
            painter.drawEllipse(disc)
            white = QPalette.ColorRole.HighlightedText  # in both appearances
            icon("star-filled", white).paint(painter, disc.toRect().adjusted(2, 2, -2, -2))
        if place == self.chosen:
            painter.setPen(QPen(QColor(look.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(shown.adjusted(-3, -3, 3, 3))


def paint_labels(painter: QPainter, sheet: Sheet, layout: Layout, colour: QColor) -> None:
    """Write what stands over the columns, beside the rows and below the cells."""
    centre = Qt.AlignmentFlag.AlignCenter
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    painter.setPen(colour)
    for words, areas, side in (
        (sheet.across, layout.across, centre),
        (sheet.down, layout.down, right | Qt.TextFlag.TextWordWrap),
        (sheet.captions, layout.captions, centre),
    ):
        for line, area in zip(words, areas, strict=False):
            if not side & Qt.TextFlag.TextWordWrap:
                width = int(area.width())
                line = painter.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, width)
            painter.drawText(area, int(side), line)
