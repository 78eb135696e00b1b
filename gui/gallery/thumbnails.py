"""Small pictures of clips: a still one for each tile, and a moving one for the tile under the
mouse. Decoded elsewhere, kept a while.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from mlxvid.errors import MediaError
from mlxvid.gui.core.frames import Facts, Size, reading
from mlxvid.gui.core.reel import image_of
from mlxvid.gui.core.tasks import Task, Tasks

# Longer side in pixels of the two kinds, and how many of each are kept: about 100 MB in all.
STILL_SIDE, STILLS_KEPT = 384, 200
MOVING_SIDE, MOVING_KEPT = 256, 12
# A moving picture shows the beginning of a long clip, in at most so many frames.
MOVING_SECONDS, MOVING_FRAMES = 8.0, 48
# So many pictures may be waited for; of what has been scrolled past, the oldest are given up.
MOST_WAITING = 48


@dataclass(frozen=True)
class Moving:
    """frames at `fps`, as pictures."""

    frames: list[QImage]
    fps: float


@dataclass(frozen=True)
class Broken:
    """Why a clip can't be shown: one sentence, and whether its file is simply gone."""

    message: str
    missing: bool


class Thumbnails(QObject):
    """Pictures by the clips' ids. One that isn't there yet is asked for by asking for it, and
    announced when it is.

    A file that can't be read is remembered as such, until forget().
    """

    ready = Signal(int)
    failed = Signal(int, str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._tasks = Tasks(2, self)
        self._stills = _Latest(STILLS_KEPT)
        self._moving = _Latest(MOVING_KEPT)
        self._waiting: OrderedDict[tuple[int, Any], tuple[Task, Path]] = OrderedDict()
        self._broken: dict[int, Broken] = {}

    def still(self, number: int, path: Path) -> QImage | None:
        """The first frame."""
        return self._get(self._stills, number, path, first_frame)

    def moving(self, number: int, path: Path) -> Moving | None:
        """The beginning, moving."""
        return self._get(self._moving, number, path, first_seconds)

    def broken(self, number: int) -> Broken | None:
        """Why a clip can't be shown, None if it can or nobody has looked yet."""
        return self._broken.get(number)

    def forget(self, number: int) -> None:
        """Look at the file anew when next asked."""
        self._broken.pop(number, None)
        for kept in (self._stills, self._moving):
            kept.pop(number, None)

    def _get(
        self, kept: _Latest, number: int, path: Path, read: Callable[[Path, Task], Any]
    ) -> Any:
        found = kept.find(number)
        if found is None and number not in self._broken and (number, read) not in self._waiting:

            def work(task: Task) -> tuple[_Latest, int, Any]:
                return kept, number, read(path, task)

            self._waiting[number, read] = (
                self._tasks.run(work, done=self._done, failed=self._fail, ended=self._forget_task),
                path,
            )
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)[1][0].cancel()
        return found

    def _done(self, task: Task, result: tuple[_Latest, int, Any]) -> None:
        kept, number, picture = result
        kept.keep(number, picture)
        self.ready.emit(number)

    def _fail(self, task: Task, message: str) -> None:
        for (number, _), (_, path) in self._forget_task(task):
            self._broken[number] = Broken(message, not path.exists())
            self.failed.emit(number, message)

    def _forget_task(self, task: Task) -> list[tuple[tuple[int, Any], tuple[Task, Path]]]:
        """Wait for a task no longer; returns what it was waited for, which is nothing the second
        time.
        """
        found = [(key, waiting) for key, waiting in self._waiting.items() if waiting[0] is task]
        for key, _ in found:
            del self._waiting[key]
        return found


class _Latest(OrderedDict):
    """The things that were used last."""

    def __init__(self, most: int):
        super().__init__()
        self._most = most

    def find(self, key: Hashable) -> Any:
        """What is kept under a key, None where nothing is."""
        if key not in self:
            return None
        self.move_to_end(key)
        return self[key]

    def keep(self, key: Hashable, value: Any) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


def first_frame(path: Path, task: Task) -> QImage:
    """The first frame of a clip, small; raises :class:`MediaError` for one that has none."""
    with reading(path) as (facts, pictures):
        for picture in pictures:
            return image_of(picture(_size(facts, STILL_SIDE)))
    raise MediaError(f"{path} has no frames: copy or make it again.")


def first_seconds(path: Path, task: Task) -> Moving:
    """The beginning of a clip, small; every second or third frame where there are many."""
    with reading(path) as (facts, pictures):
        count = max(min(facts.frames or MOVING_FRAMES, math.ceil(MOVING_SECONDS * facts.fps)), 1)
        stride = math.ceil(count / MOVING_FRAMES)
        frames: list[np.ndarray] = []
        for index, picture in enumerate(islice(pictures, count)):
            task.check()
            if index % stride == 0:
                frames.append(picture(_size(facts, MOVING_SIDE)))
    return Moving([image_of(frame) for frame in frames], facts.fps / stride)


def _size(facts: Facts, side: int) -> Size | None:
    """The clip's size within `side`; None for one that is small already."""
    scale = side / max(facts.width, facts.height)
    return (
        None
        if scale >= 1
        else (max(round(facts.width * scale), 1), max(round(facts.height * scale), 1))
    )
