"""A field for a prompt, with those used before a key away."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy

from mlxvid.gui.core.drops import files_in

# The sheet's padding and border, above and below.
_FRAME = 8


class PromptEdit(QPlainTextEdit):
    """Several lines of text. ⌘↑ and ⌘↓ (Ctrl elsewhere) walk through earlier prompts and back to
    what was being written; Tab goes on to the next field. `wanted`: ⌘↩ was pressed. `handed_on`:
    what was pasted and is no text."""

    wanted = Signal()
    handed_on = Signal(QMimeData)

    def __init__(self, name: str, placeholder: str, lines: int):
        super().__init__()
        self._lines = lines
        self._history: list[str] = []
        self._place = -1  # in the history; -1 is the draft
        self._draft = ""
        self.setAccessibleName(name)
        self.setPlaceholderText(placeholder)
        self.setTabChangesFocus(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def set_history(self, prompts: list[str]) -> None:
        """Earlier prompts, the latest first."""
        self._history = list(prompts)
        self._place = -1

    def set_text(self, text: str) -> None:
        """Replace the text; undo brings the old one back."""
        cursor = self.textCursor()
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)
        self.moveCursor(QTextCursor.MoveOperation.End)

    def sizeHint(self) -> QSize:
        height = (
            self.fontMetrics().lineSpacing() * self._lines
            + 2 * int(self.document().documentMargin())
            + _FRAME
        )
        return QSize(super().sizeHint().width(), height)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.sizeHint().height())

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        """Text, but no files: a clip or picture dropped here is meant for the window."""
        return not files_in(source) and super().canInsertFromMimeData(source)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Text goes in; a picture or a file that is pasted here is meant for the window too, since
        this field has the focus so often.
        """
        if self.canInsertFromMimeData(source):
            super().insertFromMimeData(source)
        else:
            self.handed_on.emit(source)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            if event.key() == Qt.Key.Key_Up:
                return self._walk(1)
            if event.key() == Qt.Key.Key_Down:
                return self._walk(-1)
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                return self.wanted.emit()
        super().keyPressEvent(event)

    def _walk(self, step: int) -> None:
        place = self._place + step
        if self._place == -1:
            self._draft = self.toPlainText()
            if step > 0 and self._history and self._history[0] == self._draft:
                place += 1  # what stands here was just used: show something else
        if -1 <= place < len(self._history):
            self._place = place
            self.set_text(self._history[place] if place >= 0 else self._draft)
