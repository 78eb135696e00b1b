"""Several pictures that are dropped at once: a clip from each, if the user wants that."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtGui import QImage, QUndoStack

from mlxvid.errors import MediaError
from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.core.drops import picture_thumbnail
from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.widgets.notices import Notice, NoticeBar

_NAME = "several"


class SeveralPictures(QObject):
    """Asks with a notice, and makes clips with the settings in the fields."""

    def __init__(
        self, compose: ComposePanel, undo_stack: QUndoStack, bar: NoticeBar, parent: QObject
    ):
        super().__init__(parent)
        self._compose = compose
        self._undo_stack = undo_stack
        self._bar = bar
        self._tasks = Tasks(1, self)
        self._made = 0
        compose.submit.connect(self._count)

    def offer(self, pictures: list[Path]) -> None:
        """Ask whether to make a clip from each picture."""
        count = len(pictures)
        make = (f"Make {count} Clips", partial(self._read, pictures))
        text = f"Make {count} clips, one from each picture?"
        self._bar.show_notice(Notice(text, [make], name=_NAME))

    def _read(self, pictures: list[Path]) -> None:
        """Read the pictures, and make clips of those that are some."""
        self._tasks.run(lambda task: (pictures, _thumbnails(pictures, task)), done=self._make)

    def _make(self, task: Task, read: tuple[list[Path], dict[Path, QImage]]) -> None:
        """Put the clips into the queue, as one step to undo; what is missing for the first stops
        them all, and is said beside its field.
        """
        pictures, found = read
        made = 0
        self._undo_stack.beginMacro(f"Add {len(pictures)} Clips to Queue")
        for picture, thumbnail in found.items():
            self._made = 0
            self._compose.set_start_image(picture, thumbnail)
            self._compose.generate()
            if not self._made:
                self.offer(pictures)  # for when that is mended
                break
            made += self._made
        self._undo_stack.endMacro()
        if not made:  # a step that does nothing isn't kept
            self._undo_stack.command(self._undo_stack.index() - 1).setObsolete(True)
            self._undo_stack.undo()
        left_out = [picture.name for picture in pictures if picture not in found]
        if left_out:
            text = f"{', '.join(left_out)} can't be read as a picture, and was left out."
            self._bar.show_notice(Notice(text, wrong=True))

    def _count(self, jobs: list[Job]) -> None:
        self._made += len(jobs)


def _thumbnails(pictures: list[Path], task: Task) -> dict[Path, QImage]:
    """What is shown of those that can be read."""
    found = {}
    for picture in pictures:
        task.check()
        with suppress(MediaError):
            found[picture] = picture_thumbnail(picture)
    return found
