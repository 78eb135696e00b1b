"""How a second start of the app asks the first to show itself, and to open the files that it was
given: by a file that the first watches.

No socket: the bundle leaves out Qt's network.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, Signal

FILE_NAME = "show-window"
# Seconds that the first one has to answer: more than any stall of its window.
PATIENCE = 3.0
_ASKED = "show"


class RaiseRequests(QObject):
    """The first one's ear. asked: somebody has started the app again, with files to open."""

    asked = Signal(list)

    def __init__(self, folder: Path, parent: QObject | None = None):
        super().__init__(parent)
        self._path = folder / FILE_NAME
        self._watcher = QFileSystemWatcher(self)
        self._watcher.fileChanged.connect(self._hear)
        with suppress(OSError):  # an unwritable folder, which the database reports
            self._path.write_text("")
            self._watcher.addPath(str(self._path))

    def _hear(self) -> None:
        with suppress(OSError):
            asked, *files = self._path.read_text(encoding="utf-8").split("\0")
            if asked == _ASKED:
                self._path.write_text("")  # the answer
                self.asked.emit([Path(file) for file in files])


def ask_to_raise(folder: Path, files: Sequence[Path] = (), patience: float = PATIENCE) -> bool:
    """Ask the app that has `folder` to show its window and to open `files`; whether it did."""
    path = folder / FILE_NAME
    end = time.monotonic() + patience
    try:
        absolute = [str(file.absolute()) for file in files]
        path.write_text("\0".join([_ASKED, *absolute]), encoding="utf-8")
        while time.monotonic() < end:
            if path.read_text() == "":
                return True
            time.sleep(0.02)
    except OSError:
        pass
    return False
