"""Clips side by side as one clip, on a ground with their labels."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip
from mlxvid.media.targets import check_writable

from .frames import reading


@dataclass(frozen=True)
class Cell:
    """A clip's file, and its place in pixels."""

    path: str
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class SheetClip:
    """A sheet to be saved as a clip of `count` frames at `fps`.

    ground: the whole sheet without the clips: rows of RGB of that size, compressed by zlib.
    """

    ground: bytes
    width: int
    height: int
    fps: float
    count: int
    cells: tuple[Cell, ...]


def packed_sheet(sheet: SheetClip) -> dict[str, Any]:
    """A sheet as JSON."""
    return {**asdict(sheet), "ground": base64.b64encode(sheet.ground).decode()}


def unpacked_sheet(value: dict[str, Any]) -> SheetClip:
    """A sheet from JSON."""
    return SheetClip(
        base64.b64decode(value["ground"]),
        value["width"],
        value["height"],
        value["fps"],
        value["count"],
        tuple(Cell(**cell) for cell in value["cells"]),
    )


def save_sheet(
    sheet: SheetClip,
    target: Path,
    check: Callable[[], None],
    report: Callable[[int, int], None],
) -> None:
    """Save a sheet; each clip's last frame stays to the end.

    check: raises where that is to stop. report: told of the frames done and in all, of all the
    clips and then of the sheet. Raises :class:`MediaError` for what can't be read or written.
    """
    if target.exists() and any(_is_same(Path(cell.path), target) for cell in sheet.cells):
        raise MediaError(f"{target} is one of these clips: choose another name for the grid.")
    check_writable(target)
    shape = (sheet.height, sheet.width, 3)
    frames = np.empty((sheet.count, *shape), np.uint8)
    frames[:] = np.frombuffer(zlib.decompress(sheet.ground), np.uint8).reshape(shape)
    done = 0
    total = 2 * sheet.count * len(sheet.cells)
    for cell in sheet.cells:
        _fill(frames, cell, sheet.fps, check)
        done += sheet.count
        report(done, total)
    left = total - done
    # Without settings: no run makes it again.
    Clip(frames, sheet.fps, {}).save(
        target,
        lambda saved, of: report(done + left * saved // max(of, 1), total),
        metadata=False,
    )


def _is_same(path: Path, target: Path) -> bool:
    return path.exists() and path.samefile(target)


def _fill(frames: np.ndarray, cell: Cell, fps: float, check: Callable[[], None]) -> None:
    """Put a clip into the middle of its cell of all frames."""
    next_place = 0
    with reading(Path(cell.path)) as (facts, pictures):
        scale = min(cell.width / facts.width, cell.height / facts.height)
        size = (max(int(facts.width * scale), 1), max(int(facts.height * scale), 1))
        top = cell.top + (cell.height - size[1]) // 2
        left = cell.left + (cell.width - size[0]) // 2
        inside = frames[:, top : top + size[1], left : left + size[0]]
        frame = None
        for index, picture in enumerate(pictures):
            check()
            frame = picture(size)
            end = min(round((index + 1) / facts.fps * fps), len(frames))
            inside[next_place:end] = frame
            next_place = max(end, next_place)
    if frame is None:
        raise MediaError(f"{cell.path} has no frames: reject it, then export again.")
    inside[next_place:] = frame
