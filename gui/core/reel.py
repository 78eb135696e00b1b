"""A clip in memory, or being decoded into it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from mlxvid.errors import MediaError

from .frames import BUDGET, Facts, Size, fit, reading
from .tasks import Task, Tasks

# Frames are handed over in batches this many seconds apart: often enough to look alive, seldom
# enough not to occupy the window.
BATCH_SECONDS = 0.03


@dataclass(frozen=True)
class _Begun:
    """The facts of a clip, before its frames.

    size: to which frames are reduced, or None. most: how many frames are kept.
    """

    facts: Facts
    size: Size | None
    most: int


class Reel(QObject):
    """Frames in memory, decoded by a task that open() starts.

    frames: uint8 [H, W, 3] each; the list grows while decoding. count: how many there will be, as
    far as is known. reduced: the size to which frames were reduced, or None. path: None for frames
    that came from elsewhere.
    """

    begun = Signal()  # the facts are known; there may be no frame yet
    grown = Signal()  # there are more frames
    ended = Signal(str)  # no more will come; "" or one sentence on what is missing

    def __init__(self, tasks: Tasks, budget: int = BUDGET, parent: QObject | None = None):
        super().__init__(parent)
        self._tasks = tasks
        self._budget = budget
        self._task: Task | None = None
        self._clear()

    def _clear(self) -> None:
        self.path: Path | None = None
        self.facts: Facts | None = None
        self.reduced: Size | None = None
        self.frames: list[np.ndarray] = []
        self.count = 0
        self.complete = False

    def open(self, path: Path) -> None:
        """Begin to read a clip, in place of the one before."""
        self.close()
        self.path = path
        self._task = self._tasks.run(
            decoding(path, self._budget), stepped=self._take, done=self._finish, failed=self._finish
        )

    def show(self, frames: np.ndarray, fps: float) -> None:
        """Hold frames uint8 [F, H, W, 3] that are in memory already."""
        self.close()
        count, height, width, _ = frames.shape
        self.facts = Facts(fps, count, width, height, {})
        self.frames = list(np.ascontiguousarray(frames))
        self.count = count
        self.complete = True
        self.begun.emit()
        self.grown.emit()
        self.ended.emit("")

    def close(self) -> None:
        """Drop the clip, and stop reading it."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._clear()

    @property
    def fps(self) -> float:
        return self.facts.fps if self.facts else 0.0

    def index_at(self, seconds: float) -> int:
        """The number of the frame that is shown at a time; the last one from the end on."""
        return max(min(int(seconds * self.fps + 1e-6), self.count - 1), 0)

    def image(self, index: int) -> QImage | None:
        """A frame, or the last one that is decoded, as a picture over the same memory.

        Its size without the device pixel ratio is the clip's own, however small memory has it.
        """
        if not self.frames:
            return None
        image = image_of(self.frames[min(index, len(self.frames) - 1)])
        if self.facts is not None and self.reduced:
            image.setDevicePixelRatio(image.width() / self.facts.width)
        return image

    def _take(self, task: Task, news: _Begun | list[np.ndarray]) -> None:
        if task is not self._task:
            return
        if isinstance(news, _Begun):
            self.facts = news.facts
            self.reduced = news.size
            self.count = min(news.facts.frames, news.most)
            self.begun.emit()
            return
        self.frames += news
        self.count = max(self.count, len(self.frames))
        self.grown.emit()

    def _finish(self, task: Task, message: str) -> None:
        if task is not self._task:
            return
        self._task = None
        self.count = len(self.frames)
        self.complete = True
        self.ended.emit(message)


def image_of(frame: np.ndarray) -> QImage:
    """uint8 [H, W, 3], contiguous, as a picture over the same memory."""
    height, width, _ = frame.shape
    image = QImage(frame.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    # Qt only borrows the memory: keep it for as long as the picture.
    image.frame = frame  # type: ignore[attr-defined]  # the stubs know no attributes of our own
    return image


def decoding(path: Path, budget: int) -> Callable[[Task], str]:
    """The work of reading a clip: steps with _Begun and then with lists of frames.

    It returns a sentence on what was left out, "" for nothing.
    """

    def work(task: Task) -> str:
        with reading(path) as (facts, pictures):
            size, most = fit(facts, budget)
            task.step(_Begun(facts, size, most))
            batch: list[np.ndarray] = []
            due = 0.0
            try:
                for picture in islice(pictures, most):
                    task.check()
                    batch.append(picture(size))
                    if time.monotonic() >= due:
                        task.step(batch)
                        batch = []
                        due = time.monotonic() + BATCH_SECONDS
            except MediaError:
                task.step(batch)  # the valid frames before the damage
                raise
            task.step(batch)
            if next(pictures, None) is None:
                return ""
            return (
                f"Only the first {most / facts.fps:.0f} seconds of this clip are shown, since it "
                "is too long to be kept in memory."
            )

    return work
