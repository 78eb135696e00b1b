"""Where the cells of a sheet and its labels are, on the screen and in an exported clip."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSizeF
from PySide6.QtGui import QFontMetrics

from mlxvid.gui.widgets.painting import fitted

from .sheet import Sheet

# Pixels between cells, and the shares of the width that the labels of rows may take: for long ones,
# and for a long word in one of them.
GAP = 8
_MOST = 0.2
_MOST_FOR_A_WORD = 0.35


@dataclass(frozen=True)
class Layout:
    """cells: the pictures' rectangles, and captions, across, down: those of the labels."""

    cells: list[QRectF]
    captions: list[QRectF]
    across: list[QRectF]
    down: list[QRectF]


def laid_out(sheet: Sheet, area: QRectF, metrics: QFontMetrics) -> Layout:
    """Fill an area with a sheet."""
    line = metrics.height() + 4
    first = next(clip for clip in sheet.cells if clip is not None)
    left = _left(sheet, area.width(), metrics) if sheet.down else 0.0
    top = line + GAP if sheet.across else 0.0
    caption = line if sheet.captions else 0.0
    room = QSizeF(
        (area.width() - left - GAP * (sheet.columns - 1)) / sheet.columns,
        (area.height() - top - GAP * (sheet.rows - 1)) / sheet.rows - caption,
    )
    # As large as the first clip gets, and all of it in the middle.
    picture = fitted(QSizeF(first.width, first.height), QRectF(QPointF(), room))
    width = picture.width()
    height = picture.height() + caption
    area = area.adjusted(
        sheet.columns * (room.width() - width) / 2,
        sheet.rows * (room.height() - picture.height()) / 2,
        0,
        0,
    )
    cells = []
    captions = []
    for place in range(len(sheet.cells)):
        row, column = divmod(place, sheet.columns)
        x = area.left() + left + column * (width + GAP)
        y = area.top() + top + row * (height + GAP)
        cells.append(QRectF(x, y, width, height - caption))
        captions.append(QRectF(x, y + height - caption, width, caption))
    across = []
    for column in range(len(sheet.across)):
        across.append(QRectF(cells[column].left(), area.top(), width, line))
    down = []
    for row in range(len(sheet.down)):
        down.append(QRectF(area.left(), cells[row * sheet.columns].top(), left - GAP, height))
    return Layout(cells, captions, across, down)


def _left(sheet: Sheet, width: float, metrics: QFontMetrics) -> float:
    """The width of the labels of rows and of the gap beside them: no word is cut, if it can be."""
    words = [word for text in sheet.down for word in text.split()]
    least = min(max(map(metrics.horizontalAdvance, words)) + GAP, _MOST_FOR_A_WORD * width)
    widest = max(map(metrics.horizontalAdvance, sheet.down)) + GAP
    return min(widest, max(least, _MOST * width))
