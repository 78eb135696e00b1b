"""What can be done with a frame of the clip in view: use it, save it, copy it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from mlxvid.gui.core.drops import picture_thumbnail
from mlxvid.gui.core.playhead import Playhead
from mlxvid.gui.core.reel import Reel, image_of
from mlxvid.gui.core.stills import keeping, picking, save_picture, tagged
from mlxvid.gui.core.tasks import Task, Tasks

from .transport import action

# The entries that make a frame a picture of the next clip, and the settings that they are for.
_USES = (
    ("Use Frame as First Picture", "image"),
    ("Use Frame as Keyframe", "keyframes"),
    ("Use Frame as Last Picture", "last_image"),
)


class FramesMenu(QObject):
    """Actions on the frame at the playhead, and on the last one.

    used: the setting that a frame is for, and its picture. stills: the folder of such pictures
    (None: the temporary folder).
    """

    used = Signal(str, Path)
    message = Signal(str)
    warning = Signal(str)

    def __init__(
        self, view: QWidget, reel: Reel, playhead: Playhead, tasks: Tasks, stills: Path | None
    ):
        super().__init__(view)
        self._view = view
        self._reel = reel
        self._playhead = playhead
        self._tasks = tasks
        self._stills = stills
        self.uses = [
            action(view, text, None, None, partial(self._use_current, setting))
            for text, setting in _USES
        ]
        self.last = action(view, "Use Last Frame as First Picture", None, None, self._use_last)
        self.save = action(view, "Save Frame…", None, "Ctrl+Shift+S", self._ask_to_save)
        self.copy = action(view, "Copy Frame", None, "Ctrl+Shift+C", self.copy_frame)
        self.actions = [*self.uses, self.last, self.save, self.copy]

    def menu(self) -> QMenu:
        """A menu of all of them."""
        menu = QMenu("Frame", self._view)
        menu.addActions([self.last, *self.uses])
        menu.addSeparator()
        menu.addActions([self.save, self.copy])
        return menu

    def set_enabled(self, enabled: bool) -> None:
        for one in self.actions:
            one.setEnabled(enabled)

    def copy_frame(self) -> None:
        """Put the frame at the playhead on the clipboard, at the clip's own size."""
        if self._reel.count:
            self._run(self._picking(self._playhead.index), self._copied)

    def save_frame(self, target: Path) -> None:
        """Save the frame at the playhead under a name."""
        pick = self._picking(self._playhead.index)
        self._run(lambda task: save_picture(pick(task), target), self._saved)

    def last_index(self) -> int | None:
        """The last frame to use; None for the clip's end, which may not be decoded yet."""
        trimmed_end = self._playhead.last < self._playhead.count - 1
        return self._playhead.last if trimmed_end else None

    def _use_current(self, setting: str) -> None:
        self._use(setting, self._playhead.index)

    def _use_last(self) -> None:
        self._use("image", self.last_index())

    def _use(self, setting: str, index: int | None) -> None:
        """Save a frame (None: the last) as a picture, and report its path."""
        keep = keeping(self._reel.path, index, self._stills, self._whole())

        def work(task: Task) -> tuple[str, Path]:
            still = keep(task)
            picture_thumbnail(still)  # which the field shows then without reading the file
            return setting, still

        self._run(work, self._kept)

    def _picking(self, index: int) -> Callable[[Task], np.ndarray]:
        return picking(self._reel.path, index, self._whole())

    def _whole(self) -> list[np.ndarray]:
        """The frames, if memory has all of them at their own size."""
        return self._reel.frames if self._reel.complete and not self._reel.reduced else []

    def _run(self, work: Callable[[Task], object], done: Callable[[Task, Any], None]) -> None:
        self._tasks.run(work, done=done, failed=self._failed)

    def _ask_to_save(self) -> None:
        path = self._reel.path or Path.home() / "preview.mp4"
        start = path.with_name(f"{path.stem} {self._playhead.index + 1:04d}.png")
        chosen, _ = QFileDialog.getSaveFileName(
            self._view, "Save Frame", str(start), "PNG Picture (*.png)"
        )
        if chosen:
            self.save_frame(Path(chosen))

    def _kept(self, task: Task, kept: tuple[str, Path]) -> None:
        self.used.emit(*kept)

    def _copied(self, task: Task, frame: np.ndarray) -> None:
        QGuiApplication.clipboard().setImage(tagged(image_of(frame)))
        self.message.emit("The frame is on the clipboard.")

    def _saved(self, task: Task, target: Path) -> None:
        self.message.emit(f"Saved {target.name} in {target.parent}.")

    def _failed(self, task: Task, message: str) -> None:
        self.warning.emit(message)
