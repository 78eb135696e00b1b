"""The seed, with a die that throws a new one and a lock that keeps it."""

from __future__ import annotations

import secrets

from PySide6.QtCore import QRegularExpression, Signal
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QWidget

from mlxvid.gui.core.jobs import THROWN_SEEDS
from mlxvid.gui.widgets.fields import field_height, guarded
from mlxvid.gui.widgets.icons import icon
from mlxvid.model.settings import MAX_SEED


class SeedBox(QWidget):
    """A whole number from 0 to 2^63 - 1. `changed` when it changes."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._text = QLineEdit()  # spin boxes end at 2^31
        self._text.setValidator(
            QRegularExpressionValidator(QRegularExpression("[0-9]{1,19}"), self._text)
        )
        self._text.setAccessibleName("Seed")
        self._text.setToolTip("The same seed and settings make the same clip")
        self._text.setMinimumWidth(
            self._text.fontMetrics().horizontalAdvance(str(THROWN_SEEDS)) + 20
        )
        self._text.editingFinished.connect(self._typed)
        self._die = _button("dice", "New seed", "Throw a new seed")
        self._die.clicked.connect(self.throw)
        self._lock = _button(
            "unlock", "Keep seed", "Keep this seed for the clips to come; else each gets a new one"
        )
        self._lock.setCheckable(True)
        self._lock.toggled.connect(self._show_lock)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(guarded(self._text), 1)
        layout.addWidget(self._die)
        layout.addWidget(self._lock)
        self.setFocusProxy(self._text)
        self.throw()

    @property
    def locked(self) -> bool:
        return self._lock.isChecked()

    def set_locked(self, locked: bool) -> None:
        self._lock.setChecked(locked)

    def value(self) -> int:
        return min(int(self._text.text() or 0), MAX_SEED)

    def set_value(self, seed: int) -> None:
        self._text.setText(str(min(max(0, seed), MAX_SEED)))
        self._text.setCursorPosition(0)
        self.changed.emit()

    def throw(self) -> None:
        """Another seed."""
        self.set_value(secrets.randbelow(THROWN_SEEDS))

    def _typed(self) -> None:
        self.set_value(self.value())

    def _show_lock(self, locked: bool) -> None:
        self._lock.setIcon(icon("lock" if locked else "unlock"))
        self.changed.emit()


def _button(picture: str, name: str, hint: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(picture))
    button.setAccessibleName(name)
    button.setToolTip(hint)
    button.setFixedHeight(field_height(button))
    return button
