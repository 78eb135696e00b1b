"""Settings that only some model families have, as mlxvid.model.options lists them: a field for each
that the model takes.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QLineEdit, QWidget

from mlxvid.gui.widgets.fields import OWN, decimal, guarded, labelled, two_columns
from mlxvid.models import options as family_options

_STEP = 0.1


class OptionsBox(QWidget):
    """`changed` when a field does. A field that is left alone is the model's own."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._fields = {
            name: _text(name) if option.high is None else _number(name)
            for name, option in family_options().items()
        }
        self._rows = {name: labelled(_title(name), field) for name, field in self._fields.items()}
        self._takes: frozenset[str] = frozenset()
        self._grid = two_columns(self)
        for name, field in self._fields.items():
            self._rows[name].setParent(self)
            (field.textEdited if isinstance(field, QLineEdit) else field.valueChanged).connect(
                self.changed
            )

    def set_takes(self, takes: frozenset[str]) -> None:
        """Show the fields of what the model takes."""
        self._takes = takes
        shown = self._shown()
        for name, row in self._rows.items():
            self._grid.removeWidget(row)
            row.setVisible(name in shown)
        for place, name in enumerate(shown):
            self._grid.addWidget(self._rows[name], place // 2, place % 2)
        self.setVisible(bool(shown))

    def value(self) -> dict[str, float | str]:
        """Those that are not the model's own."""
        found: dict[str, float | str] = {}
        for name in self._shown():
            field, option = self._fields[name], family_options()[name]
            if isinstance(field, QLineEdit):
                found |= {name: field.text().strip()} if field.text().strip() else {}
            elif field.value() >= option.low:
                found[name] = round(field.value(), field.decimals())
        return found

    def set_value(self, options: dict[str, Any]) -> None:
        """Fill the fields, with nothing where nothing is given; nothing is emitted."""
        for name, field in self._fields.items():
            with QSignalBlocker(field):
                if isinstance(field, QLineEdit):
                    field.setText(str(options.get(name, "")))
                else:
                    field.setValue(options.get(name, field.minimum()))

    def _shown(self) -> list[str]:
        return [name for name in self._fields if name in self._takes]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _number(name: str) -> QDoubleSpinBox:
    """Its lowest value, a step below what the option may be, stands for the model's own."""
    option = family_options()[name]
    field = decimal(
        _title(name), option.low - _STEP, option.high, 2, _STEP, option.help.capitalize()
    )
    field.setSpecialValueText(OWN)
    field.setValue(field.minimum())
    return field


def _text(name: str) -> QLineEdit:
    field = QLineEdit()
    field.setPlaceholderText(OWN)
    field.setAccessibleName(_title(name))
    field.setToolTip(family_options()[name].help.capitalize())
    return guarded(field)
