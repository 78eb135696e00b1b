"""A sheet as one clip, with its labels."""

from __future__ import annotations

import zlib

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter

from mlxvid.gui.core.frames import BUDGET
from mlxvid.gui.core.sheet_clip import Cell, SheetClip
from mlxvid.gui.widgets.theme import DARK, ON_STAGE

from .canvas import paint_labels
from .layout import GAP, Layout, laid_out
from .sheet import Sheet

# The longer side of the clip in pixels, and the least one of a cell.
_SIDE = 1920
_LEAST_CELL = 64


def sheet_clip(sheet: Sheet, font: QFont) -> SheetClip:
    """The clip that a sheet makes: at the highest of the clips' frame rates, and to the end of the
    longest. font: of the labels.
    """
    clips = [clip for clip in sheet.cells if clip is not None]
    fps = max(clip.fps for clip in clips)
    count = max(round(clip.frames / clip.fps * fps) for clip in clips)
    width, height = _size(sheet, count, font)
    layout = laid_out(sheet, QRectF(0, 0, width, height), QFontMetrics(font))
    cells = []
    for area, clip in zip(layout.cells, sheet.cells, strict=True):
        if clip is not None:
            place = area.toRect()
            cells.append(
                Cell(str(clip.path), place.left(), place.top(), place.width(), place.height())
            )
    ground = _ground(sheet, layout, width, height, font)
    return SheetClip(ground, width, height, fps, count, tuple(cells))


def _size(sheet: Sheet, count: int, font: QFont) -> tuple[int, int]:
    """Width and height, even numbers: cells at their own size, as far as the sides and the memory
    allow.
    """
    first = next(clip for clip in sheet.cells if clip is not None)
    own = (sheet.columns * first.width, sheet.rows * first.height)
    scale = min(1.0, _SIDE / max(own))
    scale = min(scale, (BUDGET / (count * own[0] * own[1] * 3)) ** 0.5)
    scale = max(scale, _LEAST_CELL / max(first.width, first.height))
    line = QFontMetrics(font).height() + 4
    width = scale * own[0] + (sheet.columns - 1) * GAP
    height = scale * own[1] + (sheet.rows - 1) * GAP
    height += (line + GAP) * bool(sheet.across) + line * sheet.rows * bool(sheet.captions)
    width *= 1.15 if sheet.down else 1.0
    return round(width / 2) * 2, round(height / 2) * 2


def _ground(sheet: Sheet, layout: Layout, width: int, height: int, font: QFont) -> bytes:
    """The labels on their ground, in rows of RGB, compressed: in a fraction of a PNG's time."""
    image = QImage(width, height, QImage.Format.Format_RGB888)
    image.fill(QColor(DARK.stage))
    painter = QPainter(image)
    painter.setFont(font)
    paint_labels(painter, sheet, layout, QColor(ON_STAGE.text))
    painter.end()
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine())
    return zlib.compress(rows[:, : 3 * width].tobytes(), 1)
