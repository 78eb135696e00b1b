"""Where the cells of a sheet and its labels are, on the screen and in an exported clip."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSizeF
from PySide6.QtGui import QFontMetrics

from mlxvid.gui.widgets.painting import fitted

from .sheet import Sheet

# Pixels between cells, and the share of the width that the labels of rows may take.
GAP = 8
_MOST = 0.2


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
    widest = max((metrics.horizontalAdvance(text) for text in sheet.down), default=0)
    left = min(widest + GAP, _MOST * area.width()) if sheet.down else 0.0
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
