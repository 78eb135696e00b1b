"""Moving clips to the Trash, which can be undone as long as they are there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtGui import QUndoCommand

from mlxvid.errors import MediaError

from .clips_table import ClipRow
from .database import Database
from .messages import shown
from .trash import move_to_trash


class TrashClips(QUndoCommand):
    """Move the files of clips to the Trash, and the clips out of the library.

    What can't be moved stays in both, and what can't be put back stays in the Trash; `failed` gets
    a sentence for each. A clip whose file is missing leaves the library alone.
    """

    def __init__(self, database: Database, clips: Sequence[ClipRow], failed: Callable[[str], None]):
        super().__init__("Move to Trash")
        self._database = database
        self._clips = list(clips)
        self._failed = failed
        self._places: dict[int, Path | None] = {}  # by the ids of the clips that went

    def redo(self) -> None:
        self._places = {}
        for clip in self._clips:
            try:
                self._places[clip.id] = move_to_trash(clip.path) if clip.path.exists() else None
            except MediaError as error:
                self._failed(shown(error))
        self._database.remove_clips(list(self._places))
        self.setObsolete(not self._places)

    def undo(self) -> None:
        gone = [clip for clip in self._clips if clip.id in self._places]
        back = [clip for clip in gone if self._is_back(clip, self._places[clip.id])]
        self._database.restore_clips(back)

    def _is_back(self, clip: ClipRow, place: Path | None) -> bool:
        """Put a clip's file back, if it had one; whether that is done."""
        if clip.path.exists():
            return False  # another has that name now, or the clip came in again by itself
        try:
            if place is not None:
                shutil.move(place, clip.path)
        except OSError as error:
            self._failed(
                f"{clip.path.name} can't be put back ({error.strerror}): look in the Trash."
            )
            return False
        return True

    @property
    def moved(self) -> int:
        """How many are in the Trash."""
        return sum(place is not None for place in self._places.values())

    @property
    def forgotten(self) -> int:
        """How many left the library that had no file."""
        return len(self._places) - self.moved
