"""What is wrong with a field, said beside it."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QLabel

from mlxvid.gui.widgets.theme import set_role


class Complaint(QLabel):
    """What is wrong with the field above it; hidden where nothing is."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setObjectName("complaint")
        self.setAccessibleName("What is wrong")
        set_role(self, "danger")
        self._new = False
        self.hide()

    def say(self, text: str) -> None:
        """Show a sentence."""
        self.setText(text)
        self.setAccessibleDescription(text)
        self.show()
        self._new = True
        QTimer.singleShot(0, self._age)

    def withdraw(self) -> None:
        """It no longer holds; one of this very moment stays, since refusing changes fields, too."""
        if not self._new:
            self.hide()

    def _age(self) -> None:
        self._new = False
