"""Fields made from the settings table: one class for each kind of setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDoubleSpinBox, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from mlxvid.gui.widgets.fields import OWN, choice, decimal, guarded, labelled, pick, whole
from mlxvid.model.settings import Setting

from .wells import ClipWell, PictureWell

# The bounds of a number for which the table has none, and those of Qt's whole numbers.
_UNBOUNDED = 1e6
_MOST_WHOLE = 2**31 - 1
# What the arrows of a field for a number add, where it shows decimals.
_STEP = 0.1
_SWITCH = (("On", True), ("Off", False))


def hint(setting: Setting) -> str:
    """The help of a setting as a tooltip."""
    return setting.help[:1].upper() + setting.help[1:]


def whole_field(setting: Setting) -> QSpinBox:
    """A field for a whole number in the setting's range."""
    low, high = _whole_range(setting)
    field = whole(setting.label, low, high, hint(setting))
    field.setObjectName(setting.name)
    return field


def number_field(setting: Setting, step: float) -> QDoubleSpinBox:
    """A field for a number in the setting's range; `step` is what its arrows add."""
    low, high = _number_range(setting)
    field = decimal(setting.label, low, high, setting.digits, step, hint(setting))
    field.setObjectName(setting.name)
    return field


class SettingField(QWidget):
    """A field for one setting, empty where the model's own value is taken.

    changed: it holds another value. read: its file was read. message: why a file can't be taken.
    The editor inside has the setting's name as its objectName.
    """

    changed = Signal()
    read = Signal()
    message = Signal(str)

    def __init__(self, setting: Setting, editor: QWidget, row: QWidget):
        """`row` is the editor with its label, or the editor itself where it needs none."""
        super().__init__()
        editor.setObjectName(setting.name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row)

    def value(self) -> Any:
        """What a job's settings hold; None for the model's own."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value, None for the model's own."""
        raise NotImplementedError


class NumberField(SettingField):
    """A number. Just below its lowest value the field stands for the model's own."""

    def __init__(self, setting: Setting):
        self._low, high = _number_range(setting)
        step = _STEP if setting.digits else 1
        low = self._low - 10**-setting.digits
        self._spin = decimal(setting.label, low, high, setting.digits, step, hint(setting))
        self._spin.setSpecialValueText(OWN)
        super().__init__(setting, self._spin, labelled(setting.label, self._spin))
        self.set_value(None)
        self._spin.valueChanged.connect(self.changed)

    def value(self) -> float | None:
        value = round(self._spin.value(), self._spin.decimals())
        return value if value >= self._low else None

    def set_value(self, value: float | None) -> None:
        self._spin.setValue(self._spin.minimum() if value is None else value)


class WholeField(SettingField):
    """A whole number. One below its lowest value the field stands for the model's own."""

    def __init__(self, setting: Setting):
        self._low, high = _whole_range(setting)
        self._spin = whole(setting.label, self._low - 1, high, hint(setting))
        self._spin.setSpecialValueText(OWN)
        super().__init__(setting, self._spin, labelled(setting.label, self._spin))
        self.set_value(None)
        self._spin.valueChanged.connect(self.changed)

    def value(self) -> int | None:
        value = self._spin.value()
        return value if value >= self._low else None

    def set_value(self, value: int | None) -> None:
        self._spin.setValue(self._spin.minimum() if value is None else value)


class TextField(SettingField):
    """A line of text; the empty one is the model's own."""

    def __init__(self, setting: Setting):
        self._line = QLineEdit()
        self._line.setPlaceholderText(OWN)
        self._line.setAccessibleName(setting.label)
        self._line.setToolTip(hint(setting))
        super().__init__(setting, self._line, labelled(setting.label, guarded(self._line)))
        self._line.textEdited.connect(self.changed)

    def value(self) -> str | None:
        return self._line.text().strip() or None

    def set_value(self, value: str | None) -> None:
        self._line.setText("" if value is None else str(value))


class ChoiceField(SettingField):
    """One of the setting's choices, on or off of a switch, or the model's own."""

    def __init__(self, setting: Setting):
        choices: list[tuple[str, object]] = [(OWN, None)]
        choices += _SWITCH if setting.kind == "switch" else ()
        choices += setting.titled
        self._combo = choice(setting.label, choices, hint(setting))
        super().__init__(setting, self._combo, labelled(setting.label, self._combo))
        self._combo.activated.connect(self.changed)

    def value(self) -> str | int | bool | None:
        return self._combo.currentData()

    def set_value(self, value: str | int | bool | None) -> None:
        self._combo.setCurrentIndex(0)
        pick(self._combo, value)


class FileField(SettingField):
    """A picture or a clip, by its path."""

    def __init__(self, setting: Setting):
        kind = ClipWell if setting.kind == "clip" else PictureWell
        self._well = kind(setting.label, hint(setting))
        super().__init__(setting, self._well, self._well)
        self._well.changed.connect(self.changed)
        self._well.read.connect(self.read)
        self._well.message.connect(self.message)

    def value(self) -> str | None:
        return str(self._well.path) if self._well.path else None

    def set_value(self, value: str | None) -> None:
        """Show a file; where it can't be taken, `message` says why and there is none."""
        self._well.clear()
        if value is not None:
            self._well.set_path(Path(value))


_KINDS: dict[str, type[NumberField | WholeField | TextField | ChoiceField | FileField]] = {
    "number": NumberField,
    "whole": WholeField,
    "text": TextField,
    "choice": ChoiceField,
    "switch": ChoiceField,
    "picture": FileField,
    "clip": FileField,
}


def make_field(setting: Setting) -> SettingField:
    """The field for a setting of a kind that says enough; the others are made by hand."""
    return _KINDS[setting.kind](setting)


def _number_range(setting: Setting) -> tuple[float, float]:
    low = -_UNBOUNDED if setting.low is None else setting.low
    high = _UNBOUNDED if setting.high is None else setting.high
    return low, high


def _whole_range(setting: Setting) -> tuple[int, int]:
    low = 0 if setting.low is None else int(setting.low)
    high = _MOST_WHOLE if setting.high is None else min(int(setting.high), _MOST_WHOLE)
    return low, high
