"""Moving clips to the Trash, which can be undone as long as they are there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtGui import QUndoCommand

from mlxvid.errors import MediaError

from .clips_table import ClipRow
from .database import Database
from .messages import shown
from .trash import move_to_trash


class TrashClips(QUndoCommand):
    """Move the files of clips to the Trash, and the clips out of the library.

    What can't be moved stays in both, and what can't be put back stays in the Trash; `failures` has
    a sentence for each.
    """

    def __init__(self, database: Database, clips: Sequence[ClipRow]):
        super().__init__("Move to Trash")
        self._database = database
        self._clips = list(clips)
        self._places: dict[int, Path] = {}  # in the Trash, by the ids of the clips
        self.failures: list[str] = []

    def redo(self) -> None:
        self.failures = []
        for clip in self._clips:
            try:
                if clip.path.exists():
                    self._places[clip.id] = move_to_trash(clip.path)
            except MediaError as error:
                self.failures.append(shown(error))
            else:
                self._database.remove_clip(clip.id)

    def undo(self) -> None:
        self.failures = []
        for clip in self._clips:
            place = self._places.pop(clip.id, None)
            if place is None or clip.path.exists():
                continue
            try:
                shutil.move(place, clip.path)
            except OSError as error:
                self.failures.append(
                    f"{clip.path.name} can't be put back ({error.strerror}): look in the Trash."
                )
            else:
                self._database.restore_clip(clip)

    @property
    def moved(self) -> int:
        """How many are in the Trash."""
        return len(self._places)
