"""A sheet as one clip, with its labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter

from mlxvid.errors import MediaError
from mlxvid.gui.core.frames import BUDGET, reading
from mlxvid.gui.core.tasks import Task
from mlxvid.gui.widgets.theme import DARK, ON_STAGE
from mlxvid.media.clip import Clip
from mlxvid.media.targets import check_writable

from .canvas import paint_labels
from .layout import GAP, laid_out
from .sheet import Sheet

# The longer side of the clip in pixels, and the least one of a cell.
_SIDE = 1920
_LEAST_CELL = 64


def exporting_sheet(sheet: Sheet, target: Path, font: QFont) -> Callable[[Task], Path]:
    """The work of saving a sheet, which steps with (frames done, frames in all) of all its clips
    and then of the sheet.

    It runs at the highest of the clips' frame rates and to the end of the longest. font: of the
    labels.
    """
    clips = [clip for clip in sheet.cells if clip is not None]
    fps = max(clip.fps for clip in clips)
    count = max(round(clip.frames / clip.fps * fps) for clip in clips)

    def work(task: Task) -> Path:
        if target.exists() and any(_is_same(clip.path, target) for clip in clips):
            raise MediaError(f"{target} is one of these clips: choose another name for the grid.")
        check_writable(target)
        width, height = _size(sheet, count, font)
        ground, cells = _ground(sheet, width, height, font)
        frames = np.empty((count, height, width, 3), np.uint8)
        frames[:] = ground
        total = 2 * count * len(clips)
        done = 0
        for cell, clip in zip(cells, sheet.cells, strict=True):
            if clip is not None:
                _fill(frames, clip.path, fps, cell, task)
                done += count
                task.step((done, total))

        def report(saved: int, of: int) -> None:
            task.check()
            task.step((done + (total - done) * saved // max(of, 1), total))

        # Without settings: no run makes it again.
        return Clip(frames, fps, {}).save(target, report, metadata=False)

    return work


def _is_same(path: Path, target: Path) -> bool:
    return path.exists() and path.samefile(target)


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


def _ground(
    sheet: Sheet, width: int, height: int, font: QFont
) -> tuple[np.ndarray, list[tuple[slice, slice]]]:
    """The labels on their ground, uint8 [H, W, 3], and the rows and columns of each cell."""
    image = QImage(width, height, QImage.Format.Format_RGB888)
    image.fill(QColor(DARK.stage))
    layout = laid_out(sheet, QRectF(0, 0, width, height), QFontMetrics(font))
    painter = QPainter(image)
    painter.setFont(font)
    paint_labels(painter, sheet, layout, QColor(ON_STAGE.text))
    painter.end()
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine())
    cells = []
    for area in layout.cells:
        place = area.toRect()
        vertical = slice(place.top(), place.top() + place.height())
        cells.append((vertical, slice(place.left(), place.left() + place.width())))
    return rows[:, : 3 * width].reshape(height, width, 3).copy(), cells


def _fill(
    frames: np.ndarray, path: Path, fps: float, cell: tuple[slice, slice], task: Task
) -> None:
    """Put a clip into its cell of all frames, its last frame to their end."""
    rows, columns = cell
    height = rows.stop - rows.start
    width = columns.stop - columns.start
    next_place = 0
    with reading(path) as (facts, pictures):
        scale = min(width / facts.width, height / facts.height)
        size = (max(int(facts.width * scale), 1), max(int(facts.height * scale), 1))
        top = rows.start + (height - size[1]) // 2
        left = columns.start + (width - size[0]) // 2
        frame = None
        for index, picture in enumerate(pictures):
            task.check()
            frame = picture(size)
            end = min(round((index + 1) / facts.fps * fps), len(frames))
            frames[next_place:end, top : top + size[1], left : left + size[0]] = frame
            next_place = max(end, next_place)
    if frame is None:
        raise MediaError(f"{path} has no frames: reject it, then export again.")
    frames[next_place:, top : top + size[1], left : left + size[0]] = frame
