"""The settings that are seldom changed, folded into a line that tells their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from mlxvid.gui.core.choices import Choice
from mlxvid.gui.widgets.fields import check, labelled, pick, two_columns
from mlxvid.gui.widgets.fields import choice as choice_field
from mlxvid.gui.widgets.fold import FoldButton
from mlxvid.model.levels import BEST, DRAFT, STANDARD
from mlxvid.model.settings import QUANTIZE_BITS, SETTINGS

from .generated import GeneratedBox
from .setting_fields import ChoiceField, NumberField, hint, number_field

_FORCE = "Try it even if it should not fit"


class AdvancedBox(QWidget):
    """Sampler, attention, shift, weights, and every setting without a field of its own elsewhere.

    Others' fields come first in it: it is filled by :meth:`hold`. changed: a field holds another
    value. read: a file was read. preset: the settings of a preset that was chosen. message: why a
    file can't be taken.
    """

    changed = Signal()
    read = Signal()
    preset = Signal(dict)
    message = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.body = QWidget(self)
        # With a parent at once, so that the Tab key comes to it before what it unfolds.
        self._fold = FoldButton("More settings", self.body, self)
        self._fold.setObjectName("advanced_fold")
        self._presets: Mapping[str, Mapping[str, Any]] = {}
        self._make_fields()
        self._lay_out()
        self._connect()

    def _make_fields(self) -> None:
        self.fps = number_field(SETTINGS["fps"], 1)
        self.shift = NumberField(SETTINGS["shift"])
        self.sampler = _combo("sampler", [])
        self.attention = _combo("attention", [])
        bits = [(f"{bits} bits", bits) for bits in sorted(QUANTIZE_BITS, reverse=True)]
        self.quantize = _combo("quantize", [("As they are", None), *bits])
        self.dtype = ChoiceField(SETTINGS["dtype"])
        self.presets = choice_field("Preset", [], "Settings that go together")
        self.presets.setObjectName("preset")
        self.generated = GeneratedBox()
        self.force = check(_FORCE)
        self.force.setObjectName("force")
        self.force.setAccessibleName("Try it even if it should not fit in memory")

    def _lay_out(self) -> None:
        self._rows: dict[str, QWidget] = {
            "sampler": labelled(SETTINGS["sampler"].label, self.sampler),
            "attention": labelled(SETTINGS["attention"].label, self.attention),
            "shift": self.shift,
            "quantize": labelled(SETTINGS["quantize"].label, self.quantize),
            "dtype": self.dtype,
            "preset": labelled("Preset", self.presets),
        }
        table = QWidget()
        self._grid = two_columns(table)
        for row in self._rows.values():
            row.setParent(table)
        self._table = table
        self._inside = QVBoxLayout(self.body)
        self._inside.setContentsMargins(0, 0, 0, 0)
        self._inside.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._fold)
        layout.addWidget(self.body)

    def _connect(self) -> None:
        self.fps.valueChanged.connect(self.changed)
        for field in (self.shift, self.dtype, self.generated):
            field.changed.connect(self.changed)
        for combo in (self.sampler, self.attention, self.quantize):
            combo.activated.connect(self.changed)
        self.force.toggled.connect(self.changed)
        self.presets.activated.connect(self._take_preset)
        self.generated.read.connect(self.read)
        self.generated.message.connect(self.message)

    def hold(self, parts: Sequence[QWidget]) -> None:
        """Fold these away too, above its own; the Tab key goes through them in this order."""
        for part in (*parts, self._table, self.generated, self.force):
            self._inside.addWidget(part)

    def tell(self, line: str) -> None:
        """Tell in the line what is folded away."""
        self._fold.set_line(line, of_facts=True)

    @property
    def open(self) -> bool:
        return self._fold.isChecked()

    def set_open(self, open_: bool) -> None:
        self._fold.setChecked(open_)

    def set_choice(self, choice: Choice) -> None:
        """Offer what the model can do, and keep what was chosen where it still can be."""
        card = choice.card
        self._presets = {
            name: settings
            for name, settings in card.family.presets.items()
            if name not in (DRAFT, STANDARD, BEST)
        }
        self.generated.set_card(card)
        _offer(self.sampler, card.samplers, card.defaults.sampler)
        _offer(self.attention, card.attention_modes, card.attention_modes[0])
        _offer(self.presets, (None, *sorted(self._presets)), None)
        hidden = set()
        if len(card.samplers) < 2:
            hidden.add("sampler")
        if len(card.attention_modes) < 2:
            hidden.add("attention")
        if not choice.takes("shift"):
            hidden.add("shift")
        if not self._presets:
            hidden.add("preset")
        place = 0
        for name, row in self._rows.items():
            self._grid.removeWidget(row)
            if name not in hidden:
                self._grid.addWidget(row, place // 2, place % 2)
                place += 1
            row.setVisible(name not in hidden)

    def settings(self, choice: Choice) -> dict[str, Any]:
        """What mlxvid.load and Pipeline.generate take, and `force`.

        What is the model's own is left out.
        """
        found: dict[str, Any] = {"fps": self.fps.value(), "sampler": self.sampler.currentData()}
        if len(choice.card.attention_modes) > 1:
            found["attention"] = self.attention.currentData()
        if choice.takes("shift"):
            found["shift"] = self.shift.value()
        found["quantize"] = self.quantize.currentData()
        found["dtype"] = self.dtype.value()
        found |= self.generated.settings()
        if self.force.isChecked():
            found["force"] = True
        return {name: value for name, value in found.items() if value is not None}

    def set_settings(self, settings: dict[str, Any], choice: Choice) -> None:
        """Show what :meth:`settings` gave, or a clip's settings."""
        card = choice.card
        with QSignalBlocker(self.fps):  # the length in frames stays
            self.fps.setValue(settings.get("fps") or card.defaults.fps)
        self.force.setChecked(bool(settings.get("force")))
        self.shift.set_value(settings.get("shift"))
        self.dtype.set_value(settings.get("dtype"))
        self.generated.set_settings(settings)
        pick(self.sampler, settings.get("sampler") or card.defaults.sampler)
        pick(self.attention, settings.get("attention") or card.attention_modes[0])
        pick(self.quantize, settings.get("quantize"))

    def _take_preset(self) -> None:
        name = self.presets.currentData()
        if name is not None:
            self.preset.emit(dict(self._presets[name]))


def _combo(name: str, options: list[tuple[str, object]]) -> QComboBox:
    """A choice for the setting `name`, among (text, value)."""
    setting = SETTINGS[name]
    field = choice_field(setting.label, options, hint(setting))
    field.setObjectName(name)
    return field


def _offer(field: QComboBox, values: Sequence[str | None], default: str | None) -> None:
    """These options and no others; the one chosen before stays chosen if it is among them."""
    before = field.currentData()
    field.clear()
    for value in values:
        text = "None" if value is None else value.replace("-", " ").capitalize()
        field.addItem(text, value)
    pick(field, before if before in values else default)
