"""A small picture for each job: the latest preview, the clip, or the picture it begins with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QImage

from mlxvid.gui.core.drops import is_film, picture_thumbnail
from mlxvid.gui.core.frames import reading
from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.reel import image_of
from mlxvid.gui.core.tasks import Task, Tasks

# Longer side in pixels, enough for displays of two pixels a point.
SIDE = 160
# Settings that name a picture or a clip that a job's clip begins with, looked for in this order.
_SOURCES = ("image", "video", "extend", "control", "last_image")


class Pictures(QObject):
    """Pictures by jobs; files are read in the background. ready: the id of a job."""

    ready = Signal(int)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._tasks = Tasks(1, self)
        self._previews: dict[int, QImage] = {}
        self._read: dict[Path, QImage | None] = {}  # None: asked for, or not to be had
        self._waiting: dict[Task, tuple[int, Path]] = {}

    def of(self, job: Job, clip: Path | None = None) -> QImage | None:
        """A job's picture, None where there is none or not yet. clip: the file that it made."""
        if clip is None and job.number in self._previews:
            return self._previews[job.number]
        path = clip or source_of(job.settings)
        if path is None:
            return None
        if path not in self._read:
            self._read[path] = None
            task = self._tasks.run(reading_small(path), done=self._keep)
            self._waiting[task] = (job.number, path)
        return self._read[path]

    def show_preview(self, job: Job, frames: np.ndarray) -> None:
        """Take the middle frame uint8 [H, W, 3] of a preview as the job's picture."""
        frame = np.ascontiguousarray(frames[len(frames) // 2])
        self._previews[job.number] = _small(image_of(frame))
        self.ready.emit(job.number)

    def _keep(self, task: Task, picture: QImage) -> None:
        number, path = self._waiting.pop(task)
        self._read[path] = picture
        self.ready.emit(number)


def source_of(settings: dict[str, Any]) -> Path | None:
    """The file that a clip begins with; None for one made from words alone."""
    given = [settings.get(name) for name in _SOURCES]
    keyframes = settings.get("keyframes")
    if isinstance(keyframes, dict):
        given += keyframes.values()
    names = [value for value in given if value and isinstance(value, str)]
    return Path(names[0]) if names else None


def reading_small(path: Path) -> Callable[[Task], QImage]:
    """The work of reading a picture, or the first frame of a clip."""

    def work(task: Task) -> QImage:
        if not is_film(path) and path.suffix.lower() != ".gif":
            return picture_thumbnail(path, SIDE)
        with reading(path) as (_, pictures):
            return _small(image_of(np.ascontiguousarray(next(pictures)(None))))

    return work


def _small(image: QImage) -> QImage:
    return image.scaled(
        SIDE,
        SIDE,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    ).copy()
