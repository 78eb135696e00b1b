"""Draft, Standard and Best: a model's settings of care in one click."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QWidget

from mlxvid.gui.core.choices import Choice
from mlxvid.model.levels import BEST, DRAFT, STANDARD, levels

from .size import SizeBox

_LEVELS = {
    DRAFT: ("Draft", "Smaller, with fewer steps: for a quick look"),
    STANDARD: ("Standard", "The size and steps that the model was made for"),
    BEST: ("Best", "More steps: finer, and slower"),
}


class LevelsBar(QWidget):
    """A button for each level that the model has; the one whose settings are in the fields is
    pressed. A level keeps the shape that `size_box` has.

    chosen: the settings of a level, None for the model's own.
    """

    chosen = Signal(dict)

    def __init__(self, size_box: SizeBox):
        super().__init__()
        self._size_box = size_box
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

    def follow(self, settings: Mapping[str, Any]) -> None:
        """Press the button of the level that these settings are at, if there is one."""
        at = [name for name in self._levels if _is_at(self._shaped(name), settings)]
        self._group.setExclusive(False)
        for name, button in self._buttons.items():
            button.setChecked(name in at[:1])
        self._group.setExclusive(True)

    def _shaped(self, name: str) -> dict[str, Any]:
        """A level's settings in the present shape."""
        level = self._levels[name]
        width, height = self._size_box.like(level["width"], level["height"])
        return {**level, "width": width, "height": height}

    def _choose(self, level: str) -> None:
        self.chosen.emit(self._shaped(level))


def _is_at(level: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
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
