"""Several pictures that are dropped at once: a clip from each, if the user wants that."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtGui import QUndoStack

from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.core.jobs import Job
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
        self._made = 0
        compose.submit.connect(self._count)

    def offer(self, pictures: list[Path]) -> None:
        """Ask whether to make a clip from each picture."""
        count = len(pictures)
        make = (f"Make {count} Clips", partial(self._make, pictures))
        text = f"Make {count} clips, one from each picture?"
        self._bar.show_notice(Notice(text, [make], name=_NAME))

    def _make(self, pictures: list[Path]) -> None:
        """Put the clips into the queue, as one step to undo; what is missing for the first stops
        them all, and is said beside its field.
        """
        left_out = []
        made = 0
        self._undo_stack.beginMacro(f"Add {len(pictures)} Clips to Queue")
        for picture in pictures:
            self._made = 0
            self._compose.set_start_image(picture)
            if self._compose.settings().get("image") != str(picture):
                left_out.append(picture.name)
                continue
            self._compose.generate()
            if not self._made:
                self.offer(pictures)  # for when that is mended
                break
            made += self._made
        self._undo_stack.endMacro()
        if not made:  # a step that does nothing isn't kept
            self._undo_stack.command(self._undo_stack.index() - 1).setObsolete(True)
            self._undo_stack.undo()
        if left_out:
            text = f"{', '.join(left_out)} can't be read as a picture, and was left out."
            self._bar.show_notice(Notice(text, wrong=True))

    def _count(self, jobs: list[Job]) -> None:
        self._made += len(jobs)
