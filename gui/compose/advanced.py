"""Settings that one seldom touches, folded away."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QComboBox, QToolButton, QVBoxLayout, QWidget

from mlxvid import models
from mlxvid.gui.core.choices import Choice
from mlxvid.gui.widgets.fields import OWN, check, decimal, labelled, pick, two_columns
from mlxvid.gui.widgets.fields import choice as choice_field
from mlxvid.gui.widgets.icons import icon
from mlxvid.model.settings import DTYPES, QUANTIZE_BITS, SETTINGS

from .options import OptionsBox


class AdvancedBox(QWidget):
    """Frames a second, sampler, attention, shift, weights. `changed` when one does; `preset`:
    settings that a preset stands for.
    """

    changed = Signal()
    preset = Signal(dict)

    def __init__(self) -> None:
        super().__init__()
        self._fold = QToolButton(self)  # at once: the Tab key comes to it before what it unfolds
        self._fold.setText("Advanced")
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setCheckable(True)
        self._fold.setProperty("role", "fold")
        self._fold.setAccessibleName("Advanced settings")
        self._fold.toggled.connect(self._show)
        self.fps = decimal(
            "Frames a second",
            1,
            120,
            2,
            1,
            "How fast the frames are played; the model was made for its own rate",
        )
        self.shift = decimal(
            "Shift",
            0,
            SETTINGS["shift"].high or 0,
            2,
            0.5,
            "Of the noise schedule: more gives outlines and motion more of the steps",
        )
        self.shift.setSpecialValueText(OWN)
        self.sampler = choice_field(
            "Sampler", [], "How each step is taken; second-order samplers take twice as long"
        )
        self.attention = choice_field(
            "Attention", [], "How the model looks at the clip; it was trained with the first"
        )
        self.quantize = choice_field(
            "Weights",
            [
                ("As they are", None),
                *((f"{bits} bits", bits) for bits in sorted(QUANTIZE_BITS, reverse=True)),
            ],
            "Fewer bits: to fit in memory, not for speed",
        )
        self.dtype = choice_field(
            "Precision",
            [(OWN, None), *((name, name) for name in DTYPES)],
            "The weights' type in memory",
        )
        presets = [
            ("None", None),
            *((name.capitalize(), name) for name in sorted(models.presets())),
        ]
        self.presets = choice_field(
            "Preset",
            presets,
            "Steps, guidance, sampler and shift that a few-step LoRA was made for",
        )
        self.presets.activated.connect(self._take_preset)
        self.options = OptionsBox()
        self.options.changed.connect(self.changed)
        self.force = check("Try it even if it should not fit")
        self.force.setAccessibleName("Try it even if it should not fit in memory")
        self._rows = {
            "fps": labelled("Frames a second", self.fps),
            "sampler": labelled("Sampler", self.sampler),
            "attention": labelled("Attention", self.attention),
            "shift": labelled("Shift", self.shift),
            "quantize": labelled("Weights", self.quantize),
            "dtype": labelled("Precision", self.dtype),
            "preset": labelled("Few-step preset", self.presets),
        }
        self.body, table = QWidget(self), QWidget()
        self._grid = two_columns(table)
        for row in self._rows.values():
            row.setParent(table)
        inside = QVBoxLayout(self.body)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(8)
        for part in (table, self.options, self.force):
            inside.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._fold, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.body)
        for number in (self.fps, self.shift):
            number.valueChanged.connect(self.changed)
        for options in (self.sampler, self.attention, self.quantize, self.dtype):
            options.activated.connect(self.changed)
        self.force.toggled.connect(self.changed)
        self._show(False)

    @property
    def open(self) -> bool:
        return self._fold.isChecked()

    def set_open(self, open_: bool) -> None:
        self._fold.setChecked(open_)

    def set_choice(self, choice: Choice) -> None:
        """Offer what the model can do, and keep what was chosen where it still can be."""
        self.options.set_takes(choice.card.takes)
        samplers = choice.card.samplers
        _offer(self.sampler, samplers, choice.card.defaults.sampler)
        _offer(
            self.attention,
            choice.card.attention_modes,
            choice.card.attention_modes[0] if choice.card.attention_modes else None,
        )
        shown = {
            "fps": True,
            "quantize": True,
            "dtype": True,
            "sampler": len(samplers) > 1,
            "attention": len(choice.card.attention_modes) > 1,
            "shift": choice.takes("shift"),
            "preset": choice.takes("loras"),
        }
        place = 0
        for name, row in self._rows.items():
            self._grid.removeWidget(row)
            if shown[name]:
                self._grid.addWidget(row, place // 2, place % 2)
                place += 1
            row.setVisible(shown[name])

    def settings(self, choice: Choice) -> dict[str, Any]:
        """As mlxvid.load and Pipeline.generate take them, and `force`; what is the model's own is
        left out.
        """
        found: dict[str, Any] = {"fps": self.fps.value(), "sampler": self.sampler.currentData()}
        if len(choice.card.attention_modes) > 1:
            found["attention"] = self.attention.currentData()
        if choice.takes("shift") and self.shift.value() >= (SETTINGS["shift"].low or 0):
            found["shift"] = self.shift.value()
        if self.options.value():
            found["options"] = self.options.value()
        found |= {
            name: field.currentData()
            for name, field in (("quantize", self.quantize), ("dtype", self.dtype))
            if field.currentData()
        }
        return found | ({"force": True} if self.force.isChecked() else {})

    def set_settings(self, settings: dict[str, Any], choice: Choice) -> None:
        """What :meth:`settings` gave, or a clip's settings; nothing is emitted."""
        with QSignalBlocker(self.fps), QSignalBlocker(self.shift), QSignalBlocker(self.force):
            self.fps.setValue(settings.get("fps") or choice.card.defaults.fps)
            self.shift.setValue(settings.get("shift") or 0)
            self.force.setChecked(bool(settings.get("force")))
        self.options.set_value(settings.get("options") or {})
        pick(self.sampler, settings.get("sampler") or choice.card.defaults.sampler)
        if choice.card.attention_modes:
            pick(self.attention, settings.get("attention") or choice.card.attention_modes[0])
        pick(self.quantize, settings.get("quantize"))
        pick(self.dtype, settings.get("dtype"))

    def _take_preset(self) -> None:
        name = self.presets.currentData()
        if name is not None:
            self.preset.emit(dict(models.presets()[name]))

    def _show(self, open_: bool) -> None:
        self._fold.setIcon(icon("down" if open_ else "right"))
        self.body.setVisible(open_)


def _offer(field: QComboBox, values: tuple[str, ...], default: object) -> None:
    """These options and no others; the one chosen before stays chosen if it is among them."""
    before = field.currentData()
    field.clear()
    for value in values:
        field.addItem(value.replace("-", " ").capitalize(), value)
    pick(field, before if before in values else default)
