"""What the user throws away: it goes to the Trash, is told, and comes back by a button or undo."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QUndoStack

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.trash_clips import TrashClips
from mlxvid.gui.widgets.notices import Notice, NoticeBar

_GONE = "gone"


class Trashing(QObject):
    """Takes clips out of the gallery, without a question since it can be undone."""

    def __init__(self, database: Database, undo_stack: QUndoStack, bar: NoticeBar, parent: QObject):
        super().__init__(parent)
        self._database = database
        self._undo_stack = undo_stack
        self._bar = bar
        undo_stack.indexChanged.connect(lambda _: bar.withdraw(_GONE))

    def discard(self, clips: list[ClipRow]) -> None:
        """Move the files of clips to the Trash; of those that have none, only forget them."""
        command = TrashClips(self._database, clips, self._warn)
        self._undo_stack.push(command)
        gone = command.moved or command.forgotten
        if not gone:
            return
        what = "1 clip was" if gone == 1 else f"{gone} clips were"
        where = "moved to the Trash" if command.moved else "removed from the gallery"
        undo = ("Put Back", self._undo_stack.undo)
        self._bar.show_notice(Notice(f"{what} {where}.", [undo], name=_GONE))

    def _warn(self, text: str) -> None:
        self._bar.show_notice(Notice(text, wrong=True))
