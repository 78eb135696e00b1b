"""Draft, Standard and Best: a model's settings of care in one click."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QWidget

from mlxvid.gui.core.choices import Choice
from mlxvid.model.levels import BEST, DRAFT, STANDARD, levels

_LEVELS = {
    DRAFT: ("Draft", "Smaller, with fewer steps: for a quick look"),
    STANDARD: ("Standard", "The size and steps that the model was made for"),
    BEST: ("Best", "More steps: finer, and slower"),
}


class LevelsBar(QWidget):
    """A button for each level that the model has; the one whose settings are in the fields is
    pressed.

    chosen: the settings of a level, None for the model's own.
    """

    chosen = Signal(dict)

    def __init__(self) -> None:
        super().__init__()
        self._levels: Mapping[str, Mapping[str, Any]] = {}
        self._group = QButtonGroup(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self._buttons: dict[str, QPushButton] = {}
        for level, (text, hint) in _LEVELS.items():
            button = QPushButton(text)
            button.setObjectName(f"level_{level}")
            button.setToolTip(hint)
            button.setCheckable(True)
            button.clicked.connect(partial(self._choose, level))
            self._group.addButton(button)
            layout.addWidget(button, 1)
            self._buttons[level] = button

    def set_choice(self, choice: Choice) -> None:
        """Offer another model's levels."""
        self._levels = levels(choice.card, choice.has_tiny_decoder)
        for level, button in self._buttons.items():
            button.setVisible(level in self._levels)

    def levels(self) -> Mapping[str, Mapping[str, Any]]:
        """The settings of each."""
        return self._levels

    def show_level(self, level: str | None) -> None:
        """Press the button of a level; none for None."""
        self._group.setExclusive(False)
        for name, button in self._buttons.items():
            button.setChecked(name == level)
        self._group.setExclusive(True)

    def _choose(self, level: str) -> None:
        self.chosen.emit(dict(self._levels[level]))


def is_at(level: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether settings are those of a level."""
    options = settings.get("options") or {}
    wanted = level.get("options") or {}
    plain = all(settings.get(name) == level[name] for name in level.keys() - {"options"})
    return plain and all(options.get(name) == wanted[name] for name in wanted)


def at_level(settings: Mapping[str, Any], level: Mapping[str, Any]) -> dict[str, Any]:
    """Settings brought to a level; the family's options that it doesn't name stay."""
    options = {**(settings.get("options") or {}), **(level.get("options") or {})}
    given = {name: value for name, value in options.items() if value is not None}
    return {**settings, **level, "options": given}
