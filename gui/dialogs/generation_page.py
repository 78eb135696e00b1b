"""Settings > Generation: what new clips begin with, and how the machine is used for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QWidget

from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.widgets.elided import DOT, FactsLabel
from mlxvid.gui.widgets.fields import check, whole
from mlxvid.model.machine import GIB

from .page import Page, button, lay_out


class GenerationPage(Page):
    """Changes apply from the next clip on.

    current: gives the model and the settings that the fields show, for new clips to begin with.
    """

    def __init__(
        self, preferences: Preferences, choices: Choices, current: Callable[[], dict[str, Any]]
    ) -> None:
        super().__init__()
        self._preferences = preferences
        self._choices = choices
        self._current = current
        self.previews = check("Show a clip while it is made", "Previews take a little time")
        self.previews.setChecked(preferences.previews)
        self.previews.toggled.connect(self._set_previews)
        self.memory = whole("Memory to leave free", 0, choices.machine.total // (2 * GIB))
        self.memory.setSuffix(" GiB")
        self.memory.setSpecialValueText("Automatic")
        self.memory.setToolTip("What clips leave to other programs; more if they become slow")
        self.memory.setValue(preferences.memory_left)
        self.memory.valueChanged.connect(self._set_memory)
        patient = "macOS stops it less often while the display is on, which may then stutter"
        self.patient_gpu = check("Let the GPU work longer", patient)
        self.patient_gpu.setChecked(preferences.patient_gpu)
        self.patient_gpu.toggled.connect(self._set_patient_gpu)
        hint = "One step of a large model may take many minutes"
        self.patience = whole("Minutes without a response", 1, 600, hint)
        self.patience.setSuffix(" min")
        self.patience.setValue(max(1, preferences.silence // 60))
        self.patience.valueChanged.connect(self._set_patience)
        self.add_row("New Clip begins with", self._beginning())
        self.add_row("", self.previews)
        self.add_row("Leave memory free", self.memory)
        self._room = self.add_note()
        if choices.machine.metal:
            self.add_row("", self.patient_gpu)
        self.add_row("Warn if no response for", self.patience)
        self._show_room()
        choices.modelReset.connect(self._show_room)  # the worker knows the machine better

    def _beginning(self) -> QWidget:
        self._begins = FactsLabel()
        self._begins.setAccessibleName("What new clips begin with")
        take = button("Use Current", "Begin with the current model and settings", self.take_current)
        take.setToolTip("Begin with the model and the settings that are in the fields now")
        self.reset = button("Reset", "Begin with the last model and its own settings", self.forget)
        row = QWidget()
        lay_out(row, self._begins, take, self.reset)
        self._show_beginning()
        return row

    def take_current(self) -> None:
        """Have new clips begin with what is in the fields."""
        self._preferences.new_clip = self._current()
        self._show_beginning()

    def forget(self) -> None:
        """Have new clips begin with the last model, and with its own settings."""
        self._preferences.new_clip = {}
        self._show_beginning()

    def _show_beginning(self) -> None:
        kept = self._preferences.new_clip
        self.reset.setEnabled(bool(kept))
        if not kept:
            self._begins.setText("The last model, with its own settings")
            return
        model = self._choices.find(str(kept.get("model")))
        facts = [model.title if model else str(kept.get("model"))]
        if kept.get("width") and kept.get("height"):
            facts.append(f"{kept['width']}×{kept['height']}")
        facts += [f"{kept[name]} {name}" for name in ("frames", "steps") if kept.get(name)]
        self._begins.setText(DOT.join(facts))

    def _set_previews(self, previews: bool) -> None:
        self._preferences.previews = previews

    def _set_patient_gpu(self, patient: bool) -> None:
        self._preferences.patient_gpu = patient

    def _set_memory(self, gib: int) -> None:
        self._preferences.memory_left = gib
        self._show_room()

    def _show_room(self) -> None:
        machine = self._choices.machine
        room = f"A clip may take {machine.usable / GIB:.0f} of {machine.total / GIB:.0f} GiB."
        self._room.setText(room)

    def _set_patience(self, minutes: int) -> None:
        self._preferences.silence = 60 * minutes
