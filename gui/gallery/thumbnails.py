"""Small pictures of clips: a still one for each tile, an animation for the hovered one.

They are decoded in the background, and the latest are cached.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
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

# Longer side of the two kinds in pixels, and how many of each are cached: about 100 MB in all.
STILL_SIDE = 384
STILLS_KEPT = 200
ANIMATION_SIDE = 256
ANIMATIONS_KEPT = 12
# An animation shows the beginning of a long clip: at most so many seconds, and so many frames.
ANIMATION_SECONDS = 8.0
ANIMATION_FRAMES = 48
# Requests that may wait; the oldest are dropped, since their tiles have been scrolled past.
MOST_WAITING = 48


@dataclass(frozen=True)
class Animation:
    """Frames as pictures, and their rate in frames a second."""

    frames: list[QImage]
    fps: float


@dataclass(frozen=True)
class Broken:
    """Why a clip can't be shown: one sentence, and whether its file is missing."""

    message: str
    missing: bool


class Thumbnails(QObject):
    """Pictures by the ids of the clips.

    Asking for one that isn't there starts decoding it; `ready` announces it. A file that can't be
    read is announced by `failed`, and remembered until forget().
    """

    ready = Signal(int)
    failed = Signal(int, str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._tasks = Tasks(2, self)
        self._stills = _Cache(STILLS_KEPT)
        self._animations = _Cache(ANIMATIONS_KEPT)
        self._waiting: OrderedDict[tuple[int, Any], tuple[Task, Path]] = OrderedDict()
        self._broken: dict[int, Broken] = {}

    def still(self, number: int, path: Path) -> QImage | None:
        """The first frame."""
        return self._get(self._stills, number, path, first_frame)

    def animation(self, number: int, path: Path) -> Animation | None:
        """The first seconds."""
        return self._get(self._animations, number, path, first_seconds)

    def broken(self, number: int) -> Broken | None:
        """Why a clip can't be shown; None if it can, or isn't decoded yet."""
        return self._broken.get(number)

    def cached_stills(self) -> set[int]:
        """The ids of the clips whose first frames are cached."""
        return set(self._stills)

    @property
    def waiting(self) -> int:
        """How many pictures have been requested and not decoded yet."""
        return len(self._waiting)

    def forget(self, number: int) -> None:
        """Read the file again at the next request; what is being read of it is dropped."""
        self._broken.pop(number, None)
        for key in [key for key in self._waiting if key[0] == number]:
            task, _ = self._waiting.pop(key)
            task.cancel()
        for kept in (self._stills, self._animations):
            kept.pop(number, None)

    def _get(self, kept: _Cache, number: int, path: Path, read: Callable[[Path, Task], Any]) -> Any:
        found = kept.get_recent(number)
        if found is None and number not in self._broken and (number, read) not in self._waiting:
            self._request(kept, number, path, read)
        return found

    def _request(
        self, kept: _Cache, number: int, path: Path, read: Callable[[Path, Task], Any]
    ) -> None:
        def work(task: Task) -> tuple[_Cache, int, Any]:
            return kept, number, read(path, task)

        task = self._tasks.run(work, done=self._done, failed=self._fail, ended=self._forget_task)
        self._waiting[number, read] = (task, path)
        if len(self._waiting) > MOST_WAITING:
            _, (oldest, _) = self._waiting.popitem(last=False)
            oldest.cancel()

    def _done(self, task: Task, result: tuple[_Cache, int, Any]) -> None:
        kept, number, picture = result
        if self._forget_task(task):  # nobody dropped it
            kept.keep(number, picture)
            self.ready.emit(number)

    def _fail(self, task: Task, message: str) -> None:
        for (number, _), (_, path) in self._forget_task(task):
            self._broken[number] = Broken(message, not path.exists())
            self.failed.emit(number, message)

    def _forget_task(self, task: Task) -> list[tuple[tuple[int, Any], tuple[Task, Path]]]:
        """Remove a task's requests from the waiting ones, and return them."""
        found = [(key, waiting) for key, waiting in self._waiting.items() if waiting[0] is task]
        for key, _ in found:
            del self._waiting[key]
        return found


class _Cache(OrderedDict[int, Any]):
    """The pictures that were used last, at most `most` of them."""

    def __init__(self, most: int):
        super().__init__()
        self._most = most

    def get_recent(self, key: int) -> Any:
        """The value of a key, which counts as a use of it; None if there is none."""
        if key not in self:
            return None
        self.move_to_end(key)
        return self[key]

    def keep(self, key: int, value: Any) -> None:
        """Add a value, and drop the one that was not used for longest."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


def first_frame(path: Path, task: Task) -> QImage:
    """The first frame of a clip, small; raises :class:`MediaError` if there is none."""
    with reading(path) as (facts, pictures):
        for picture in pictures:
            return image_of(picture(_size(facts, STILL_SIDE)))
    raise MediaError(f"{path} has no frames: copy it again, or generate it again.")


def first_seconds(path: Path, task: Task) -> Animation:
    """The beginning of a clip, small; every second or third frame if there are many."""
    with reading(path) as (facts, pictures):
        count = max(
            min(facts.frames or ANIMATION_FRAMES, math.ceil(ANIMATION_SECONDS * facts.fps)), 1
        )
        stride = math.ceil(count / ANIMATION_FRAMES)
        frames: list[np.ndarray] = []
        for index, picture in enumerate(islice(pictures, count)):
            task.check()
            if index % stride == 0:
                frames.append(picture(_size(facts, ANIMATION_SIDE)))
    return Animation([image_of(frame) for frame in frames], facts.fps / stride)


def _size(facts: Facts, side: int) -> Size | None:
    """The clip's size within `side`; None for one that is small already."""
    scale = side / max(facts.width, facts.height)
    if scale >= 1:
        return None
    return max(round(facts.width * scale), 1), max(round(facts.height * scale), 1)
