"""The fields of all settings that have none made by hand, and of the options of families."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from mlxvid import models
from mlxvid.gui.widgets.fields import two_columns
from mlxvid.model.card import Card
from mlxvid.model.settings import SETTINGS

from .setting_fields import SettingField, make_field

# The settings that have fields of their own in the other boxes, or are made up of several.
HAND_MADE = frozenset(
    {
        "prompt",
        "negative_prompt",
        "image",
        "last_image",
        "keyframes",
        "focus",
        "extend",
        "join",
        "video",
        "strength",
        "width",
        "height",
        "resolution",
        "aspect",
        "frames",
        "fps",
        "options",
        "steps",
        "guidance",
        "seed",
        "sampler",
        "shift",
        "attention",
        "model",
        "revision",
        "loras",
        "quantize",
        "dtype",
    }
)

# What a choice has for none, and how settings are named that have an end as well.
OFF = "off"
_START = "_start"


class GeneratedBox(QWidget):
    """Two columns of fields, of which the chosen model's are shown.

    Those that only do something with another one are shown once that holds a value. changed: one
    holds another value. read: a file was read. message: why one can't be taken.
    """

    changed = Signal()
    read = Signal()
    message = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        plain = [setting for setting in SETTINGS.values() if setting.name not in HAND_MADE]
        self._options = models.options()
        self._fields: dict[str, SettingField] = {}
        self._taken: list[str] = []  # by the model
        self._shown: list[str] = []
        self._grid = two_columns(self)
        for setting in (*plain, *self._options.values()):
            field = make_field(setting)
            field.setParent(self)  # at once, so that the Tab key goes through them in this order
            field.changed.connect(self._follow)
            field.read.connect(self.read)
            field.message.connect(self.message)
            self._fields[setting.name] = field

    def set_card(self, card: Card) -> None:
        """Show the fields of what the model takes."""
        self._taken = [name for name in self._fields if self._is_taken(name, card)]
        self._arrange()

    def settings(self) -> dict[str, Any]:
        """Those that are not the model's own; the options of its family within `options`."""
        found: dict[str, Any] = {}
        options: dict[str, Any] = {}
        for name in self._shown:
            value = self._fields[name].value()
            if value is not None:
                (options if name in self._options else found)[name] = value
        return found | ({"options": options} if options else {})

    def set_settings(self, settings: dict[str, Any]) -> None:
        """Show what :meth:`settings` gave, or a clip's settings."""
        options = settings.get("options") or {}
        for name, field in self._fields.items():
            given = options if name in self._options else settings
            field.set_value(given.get(name))
        self._arrange()

    def _is_taken(self, name: str, card: Card) -> bool:
        if name in self._options:
            return card.offers(name)
        return not SETTINGS[name].needs_support or card.offers(name)

    def _follow(self) -> None:
        self._arrange()
        self.changed.emit()

    def _arrange(self) -> None:
        """Show what does something, each part of the steps from where to where in one row."""
        shown = [name for name in self._taken if self._does_something(name)]
        if shown == self._shown:
            return
        self._shown = shown
        for name, field in self._fields.items():
            self._grid.removeWidget(field)
            field.setVisible(name in shown)
        for row, names in enumerate(_rows(shown)):
            for column, name in enumerate(names):
                self._grid.addWidget(self._fields[name], row, column, 1, 3 - len(names))
        self.setVisible(bool(shown))

    def _does_something(self, name: str) -> bool:
        other = SETTINGS[name].only_with if name in SETTINGS else ""
        return not other or self._fields[other].value() not in (None, OFF)


def _rows(names: list[str]) -> list[list[str]]:
    """Names two by two; one that would part a beginning from its end has a row of its own."""
    rows: list[list[str]] = []
    for name in names:
        begins = name.endswith(_START)
        if rows and len(rows[-1]) == 1 and not begins:
            rows[-1].append(name)
        else:
            rows.append([name])
    return rows
