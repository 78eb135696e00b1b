"""The last frames of clips as pictures, for clips that go on from them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.stills import keeping
from mlxvid.gui.core.tasks import Task, Tasks


class LastFrames(QObject):
    """Saves them out of the window's thread.

    folder: where to (None: the temporary folder). extend: a clip's settings, its last frame as a
    picture, and its file. start: the picture alone. failed: why there is none.
    """

    extend = Signal(dict, Path, Path)
    start = Signal(Path)
    failed = Signal(str)

    def __init__(self, folder: Path | None, parent: QObject | None = None):
        super().__init__(parent)
        self._folder = folder
        self._tasks = Tasks(1, self)
        self._clips: dict[Task, ClipRow] = {}  # those that are to be extended

    def keep_to_extend(self, clip: ClipRow) -> None:
        """Save the last frame of a clip that is to be extended."""
        work = keeping(clip.path, None, self._folder)
        task = self._tasks.run(work, done=self._extend, failed=self._fail)
        self._clips[task] = clip

    def keep_to_start(self, clip: ClipRow) -> None:
        """Save the last frame of a clip as a picture to start with."""
        work = keeping(clip.path, None, self._folder)
        self._tasks.run(work, done=self._start, failed=self._fail)

    def _extend(self, task: Task, still: Path) -> None:
        clip = self._clips.pop(task)
        self.extend.emit(clip.settings, still, clip.path)

    def _start(self, task: Task, still: Path) -> None:
        self.start.emit(still)

    def _fail(self, task: Task, message: str) -> None:
        self._clips.pop(task, None)
        self.failed.emit(message)
