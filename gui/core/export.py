"""Saving a copy of a clip in another format, or trimmed, while the window goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip, check_writable

from .tasks import Task, Tasks


class Export(QObject):
    """One copy at a time.

    progressed: frames done, and frames in all. Exactly one of `saved`, `failed` and `cancelled`
    ends it.
    """

    progressed = Signal(int, int)
    saved = Signal(Path)
    failed = Signal(str)
    cancelled = Signal()

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._tasks = Tasks(1, self)
        self._task: Task | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self, source: Path, target: Path, first: int = 0, last: int | None = None) -> None:
        """Save the frames `first` to `last` of `source` as `target`, whose ending is the format.

        Both frames are included; `last` is None for the end. Not while one is `running`.
        """
        self._task = self._tasks.run(
            exporting(source, target, first, last),
            stepped=self._step,
            done=self._done,
            failed=self._fail,
            ended=self._end,
        )

    def cancel(self) -> None:
        """Stop at the next frame; a file that was at the target stays as it was."""
        if self._task is not None:
            self._task.cancel()

    def _step(self, task: Task, news: tuple[int, int]) -> None:
        self.progressed.emit(*news)

    def _done(self, task: Task, target: Path) -> None:
        self._task = None
        self.saved.emit(target)

    def _fail(self, task: Task, message: str) -> None:
        self._task = None
        self.failed.emit(message)

    def _end(self, task: Task) -> None:
        # Another may have begun since this one was saved.
        if task is self._task:
            self._task = None
            self.cancelled.emit()


def exporting(source: Path, target: Path, first: int, last: int | None) -> Callable[[Task], Path]:
    """The work of an export, which steps with (frames done, frames in all).

    The settings in the file are those that made the complete clip.
    """

    def work(task: Task) -> Path:
        if check_writable(target).exists() and source.samefile(target):
            raise MediaError(f"{target} is the clip itself: choose another name for its copy.")
        clip = Clip.load(source)
        frames = clip.frames[first : None if last is None else last + 1]
        if not len(frames):
            raise MediaError(
                f"{source} has no frames from {first} on: open it again, since it may have been "
                "changed."
            )

        def report(done: int, count: int) -> None:
            task.check()
            task.step((done, count))

        return Clip(frames, clip.fps, clip.settings).save(target, report)

    return work
