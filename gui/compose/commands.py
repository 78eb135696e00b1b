"""What the compose panel does to its fields, and how that is undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtGui import QUndoCommand


class ReplaceFields(QUndoCommand):
    """Other settings in place of what was in the fields. It was done already when it is made."""

    def __init__(
        self,
        text: str,
        fill: Callable[[dict[str, Any]], None],
        before: dict[str, Any],
        after: dict[str, Any],
    ):
        super().__init__(text)
        self._fill = fill
        self._before = before
        self._after = after
        self._is_first = True

    def redo(self) -> None:
        if not self._is_first:
            self._fill(self._after)
        self._is_first = False

    def undo(self) -> None:
        self._fill(self._before)
