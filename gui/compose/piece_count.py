"""The count of a prompt's pieces while it is typed, and the words that are too many."""

from __future__ import annotations

from PySide6.QtGui import QColor, QPalette, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QLabel, QTextEdit

from mlxvid.gui.core.pieces import Count, PieceCounter
from mlxvid.gui.widgets.theme import set_role, small
from mlxvid.model.card import Card

from .prompt import PromptEdit

_HINT = "Pieces of words: a model reads so many of a prompt, and no more"


class PieceCount(QLabel):
    """A line that counts the pieces of a field; what the model won't read is struck out there."""

    def __init__(self, edit: PromptEdit):
        super().__init__()
        self._edit = edit
        self._card: Card | None = None
        self._counter = PieceCounter(self)
        self._counter.counted.connect(self._show_count)
        self.setObjectName("piece_count")
        self.setAccessibleName("Length of the prompt")
        self.setToolTip(_HINT)
        small(self)
        edit.textChanged.connect(self._ask)

    def set_card(self, card: Card) -> None:
        """Count as another model does."""
        self._card = card
        self._ask()

    def _ask(self) -> None:
        if self._card is not None:
            self._counter.ask(self._edit.toPlainText(), self._card)

    def _show_count(self, count: Count) -> None:
        over = count.pieces - count.limit
        about = "" if count.exact else "about "
        text = f"{about}{count.pieces} of {count.limit} pieces"
        if over > 0:
            text = f"{about}{over} pieces too long"
        self.setText(text if count.pieces else "")
        self.setAccessibleDescription(self.text())
        set_role(self, "warning" if over > 0 else "faint")
        self._strike_out(count.read)

    def _strike_out(self, read: int) -> None:
        """Mark what follows the letters that are read."""
        text = self._edit.toPlainText()
        selections = []
        if read < len(text):
            selection = QTextEdit.ExtraSelection()
            cursor = QTextCursor(self._edit.document())
            cursor.setPosition(len(text[:read].encode("utf-16-le")) // 2)  # as Qt counts
            cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
            look = QTextCharFormat()
            look.setFontStrikeOut(True)
            look.setForeground(
                QColor(self._edit.palette().color(QPalette.ColorRole.PlaceholderText))
            )
            selection.cursor = cursor
            selection.format = look
            selections.append(selection)
        self._edit.setExtraSelections(selections)
