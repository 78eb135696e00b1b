"""The seed, with a button for a random one and a lock that keeps it."""

from __future__ import annotations

import secrets

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QWidget

from mlxvid.gui.core.jobs import RANDOM_SEEDS
from mlxvid.gui.widgets.fields import field_height, guarded
from mlxvid.gui.widgets.icons import icon
from mlxvid.model.settings import MAX_SEED, SETTINGS

from .setting_fields import hint

_MOST_DIGITS = len(str(MAX_SEED))
_LOCK_HINT = "Keep this seed for the next clips; otherwise each gets a random one"


class SeedBox(QWidget):
    """A whole number from 0 to 2^63 - 1. changed: it is another, or is locked or unlocked."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        setting = SETTINGS["seed"]
        self._text = QLineEdit()  # spin boxes end at 2^31
        self._text.setObjectName("seed")
        self._text.textEdited.connect(self._keep_digits)
        self._text.setAccessibleName(setting.label)
        self._text.setToolTip(hint(setting))
        longest = self._text.fontMetrics().horizontalAdvance(str(RANDOM_SEEDS))
        self._text.setMinimumWidth(longest + 20)
        self._text.editingFinished.connect(self._normalize)
        random = _button("dice", "Random seed", "Random seed")
        random.setObjectName("random_seed")
        random.clicked.connect(self.randomize)
        self._lock = _button("unlock", "Keep seed", _LOCK_HINT)
        self._lock.setObjectName("keep_seed")
        self._lock.setCheckable(True)
        self._lock.toggled.connect(self._show_lock)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(guarded(self._text), 1)
        layout.addWidget(random)
        layout.addWidget(self._lock)
        self.setFocusProxy(self._text)
        self.randomize()

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

    def keep(self, seed: int) -> None:
        """Take a seed for the clips to come."""
        self.set_value(seed)
        self.set_locked(True)

    def randomize(self) -> None:
        """Take a random seed."""
        self.set_value(secrets.randbelow(RANDOM_SEEDS))

    def _keep_digits(self, text: str) -> None:
        """Take the number out of what was typed or pasted, such as "seed: 7"."""
        digits = "".join(sign for sign in text if sign in "0123456789")[:_MOST_DIGITS]
        if digits != text:
            self._text.setText(digits)

    def _normalize(self) -> None:
        self.set_value(self.value())

    def _show_lock(self, locked: bool) -> None:
        self._lock.setIcon(icon("lock" if locked else "unlock"))
        self.changed.emit()


def _button(picture: str, name: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(picture))
    button.setAccessibleName(name)
    button.setToolTip(tip)
    button.setFixedHeight(field_height(button))
    return button
