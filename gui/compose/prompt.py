"""A text field for a prompt, with a history."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy

from mlxvid.gui.core.drops import files_in

# Pixels of the style's padding and border, above and below together.
_FRAME = 8


class PromptEdit(QPlainTextEdit):
    """Several lines of text.

    ⌘↑ and ⌘↓ (Ctrl elsewhere) step through earlier prompts and back to the draft; Tab goes to the
    next field. lines: its least height; grows: it takes what there is above that. submitted: ⌘↩
    was pressed. handed_on: what was pasted and is no text.
    """

    submitted = Signal()
    handed_on = Signal(QMimeData)

    def __init__(self, name: str, placeholder: str, lines: int, grows: bool = False):
        super().__init__()
        self._lines = lines
        self._history: list[str] = []
        self._place = -1  # in the history; -1 is the draft
        self._draft = ""
        self.setAccessibleName(name)
        self.setPlaceholderText(placeholder)
        self.setTabChangesFocus(True)
        across = QSizePolicy.Policy.Expanding
        self.setSizePolicy(across, across if grows else QSizePolicy.Policy.Fixed)
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
        text = self.fontMetrics().lineSpacing() * self._lines
        margins = 2 * int(self.document().documentMargin())
        return QSize(super().sizeHint().width(), text + margins + _FRAME)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.sizeHint().height())

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        """Whether it is text and not files: clips and pictures are the window's to take."""
        return not files_in(source) and super().canInsertFromMimeData(source)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Insert text; a picture or file is handed on, since this field often has the focus."""
        if self.canInsertFromMimeData(source):
            super().insertFromMimeData(source)
        else:
            self.handed_on.emit(source)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            if event.key() == Qt.Key.Key_Up:
                return self._step_history(1)
            if event.key() == Qt.Key.Key_Down:
                return self._step_history(-1)
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                return self.submitted.emit()
        super().keyPressEvent(event)

    def _step_history(self, step: int) -> None:
        place = self._place + step
        if self._place == -1:
            self._draft = self.toPlainText()
            if step > 0 and self._history and self._history[0] == self._draft:
                place += 1  # the draft was just used: show the one before
        if -1 <= place < len(self._history):
            self._place = place
            self.set_text(self._history[place] if place >= 0 else self._draft)
