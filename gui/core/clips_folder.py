"""The folder of clips: what comes into it otherwise than by the queue comes into the library.

Clips put back from the trash, made by the command, copied in, or those of a library that was lost:
their settings are in the files.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from mlxvid.errors import MediaError
from mlxvid.media.formats import VIDEO
from mlxvid.media.reading import read_tag

from .clips_table import FoundClip
from .database import Database
from .preferences import Preferences
from .tasks import Task, Tasks

ENDINGS = (*VIDEO, ".gif", ".webp")
# Milliseconds after the last change of the folder: a clip of the queue is in the library by then.
SETTLE = 1000
# Seconds since its last change after which a file that can't be read is taken for no clip, and not
# for one that is still being copied.
COPYING = 10.0


class ClipsFolder(QObject):
    """Looks through the folder at the start, and whenever it changes.

    found: how many clips were added to the library, and the folder.
    """

    found = Signal(int, Path)

    def __init__(self, database: Database, preferences: Preferences, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._preferences = preferences
        self._tasks = Tasks(1, self)
        self._passed: dict[Path, float] = {}  # files that are no clips, and when they were changed
        self._watcher = QFileSystemWatcher(self)
        self._timer = QTimer(self, singleShot=True, interval=SETTLE)
        self._timer.timeout.connect(self.look)
        self._watcher.directoryChanged.connect(self._timer.start)
        preferences.clips_folder_changed.connect(self._timer.start)
        self._timer.start()

    def look(self) -> None:
        """Look through the folder, in the background."""
        folder = self._preferences.clips_folder
        watched = self._watcher.directories()
        if watched != [str(folder)]:
            if watched:
                self._watcher.removePaths(watched)
            if folder.is_dir():
                self._watcher.addPath(str(folder))
        known = self._database.known_paths()
        passed = dict(self._passed)
        self._tasks.run(lambda task: look_through(folder, known, passed, task), done=self._take)

    def _take(self, task: Task, result: tuple[list[FoundClip], dict[Path, float]]) -> None:
        clips, passed = result
        self._passed |= passed
        now = time.time()
        fresh = [path for path, changed in passed.items() if now - changed < COPYING]
        for path in fresh:
            del self._passed[path]
        if fresh:
            self._timer.start()
        count = self._database.add_found(clips)
        if count:
            self.found.emit(count, self._preferences.clips_folder)

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()
        self._tasks.stop()


def look_through(
    folder: Path, known: set[str], passed: dict[Path, float], task: Task
) -> tuple[list[FoundClip], dict[Path, float]]:
    """The clips in `folder` that are not `known`, and what else was looked at and is none.

    `passed`: files that were none when they were changed last.
    """
    clips = []
    others = {}
    names = os.listdir(folder) if folder.is_dir() else []
    for name in sorted(names):
        task.check()
        path = folder / name
        hidden = name.startswith(".")
        if hidden or path.suffix.lower() not in ENDINGS or str(path) in known:
            continue
        try:
            changed = path.stat().st_mtime
        except OSError:  # gone again
            continue
        if passed.get(path) == changed:
            continue
        try:
            tag = read_tag(path)
        except (OSError, MediaError):
            tag = None
        if tag is None:
            others[path] = changed
        else:
            size = (tag["width"], tag["height"])
            clips.append(FoundClip(path, changed, tag["settings"], tag["fps"], tag["frames"], size))
    return clips, others
