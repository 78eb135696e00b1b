"""The compose panel's fields, each following the model and the others."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from mlxvid.gui.core.choices import Choice, Choices
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.preferences import Preferences

from .form import ComposeForm
from .levels import at_level
from .picture_shape import PictureShape
from .summary import summary

# The plan follows this many milliseconds after the last change.
_SETTLE = 60


class FollowingForm(ComposeForm):
    """Fields that show what the chosen model takes, what that costs, and what is wrong.

    message: a sentence for the user. model_chosen: the name of the model, whenever another is
    chosen. planned: the plan is that of what the fields say now.
    """

    message = Signal(str)
    model_chosen = Signal(str)
    planned = Signal()

    def __init__(
        self,
        database: Database,
        choices: Choices,
        preferences: Preferences,
        parent: QWidget | None = None,
    ):
        super().__init__(database, choices, preferences, parent)
        self._choices = choices
        self._filling = False
        self._by_model: dict[str, dict[str, Any]] = {}  # the settings last used with each model
        self._name = ""
        self._shape = PictureShape(self.size_box, self.pictures)
        self._timer = QTimer(self, singleShot=True, interval=_SETTLE)
        self._follow()

    def replan(self) -> None:
        """Update the plan soon, after a run was timed or a model was downloaded."""
        self._timer.start()

    def complain(self, part: QWidget, text: str) -> None:
        """Say what is wrong with a field beside it.

        By a message where nobody sees that, or where it isn't the field that was asked.
        """
        if self.isVisible() and not self._filling:
            if self.advanced.isAncestorOf(part):
                self.advanced.set_open(True)
            self.complaints[part].say(text)
            # Once it has its place.
            QTimer.singleShot(0, self.complaints[part], partial(self._reveal, part))
        else:
            self.message.emit(text)

    def _reveal(self, part: QWidget) -> None:
        self._area.ensureWidgetVisible(self.complaints[part])

    def _follow(self) -> None:
        self.plan_line.apply.connect(self._fill)
        self.picker.changed.connect(self._use)
        self.advanced.preset.connect(self._fill)
        self.loras.added.connect(self._take_recipe)
        self.levels.chosen.connect(self._take_level)
        self.size_box.custom.connect(self._ask_for_size)
        self.advanced.fps.valueChanged.connect(self.length_box.set_fps)
        self._timer.timeout.connect(self._replan)
        for part in (self.picker, self.advanced, self.pictures, self.loras):
            part.message.connect(partial(self.complain, part))
            part.changed.connect(self.complaints[part].withdraw)
        self.prompt.textChanged.connect(self.complaints[self.prompt].withdraw)
        for changed in (
            self.seed.changed,
            self.size_box.changed,
            self.length_box.changed,
            self.steps.valueChanged,
            self.guidance.valueChanged,
            self.takes.valueChanged,
            self.advanced.changed,
            self.pictures.changed,
            self.pictures.read,
            self.loras.changed,
        ):
            changed.connect(self._timer.start)

    def _use(self, choice: Choice) -> None:
        """Show what this model takes.

        Another model begins as it was last used, or with its own defaults.
        """
        other = choice.name != self._name
        if other and self._name:
            self._by_model[self._name] = self.particular()
        self._name = choice.name
        self.negative_box.setVisible(choice.takes("negative_prompt"))
        self.negative_box.set_own(choice.card.defaults.negative_prompt)
        self._loras_row.setVisible(choice.takes("loras"))
        self.pictures.set_takes(choice.card.takes)
        self.piece_count.set_card(choice.card)
        self.levels.set_choice(choice)
        self.size_box.set_card(choice.card)
        self.length_box.set_card(choice.card)
        self.advanced.set_choice(choice)
        self._fit()
        if other:
            self.fill_particular(self._by_model.get(choice.name, {}))
            if not self._filling:
                self._shape.let_go()
            self.model_chosen.emit(choice.name)
        self._timer.start()

    def _fill(self, settings: dict[str, Any]) -> None:
        """Put settings into the fields; without a prompt among them, the other fields stay."""
        self._filling = True
        self._shape.hold()
        if "prompt" in settings:
            self._fill_all(settings)
        else:
            self.fill_particular(self.particular() | settings)
        self._filling = False
        self._shape.let_go()
        self._timer.start()

    def _fill_all(self, settings: dict[str, Any]) -> None:
        if not self._choose(settings.get("model", "")):
            self.message.emit(
                f"The model {settings.get('model')} is not among the models here: only the other "
                "settings were taken over."
            )
        self.fill_particular(settings)
        self.fill_shared(settings)

    def _choose(self, name: str) -> bool:
        if self._choices.find(name) is None and (Path(name) / "model_index.json").is_file():
            self.picker.add_folder(Path(name))
        return self.picker.set_name(name)

    def _replan(self) -> None:
        self.pictures.set_frames(self.length_box.value())
        machine = self._choices.machine
        choice = self.picker.value()
        settings = self.settings()
        self.plan_line.show_plan(settings, choice, machine, self.takes.value())
        self.planned.emit()
        self.advanced.tell(summary(settings, choice.card, self.seed.locked))
        self.levels.follow(settings)
        self.pictures.show_fit(self.size_box)

    def _take_level(self, level: dict[str, Any]) -> None:
        self._fill(at_level(self.particular(), level))

    def _ask_for_size(self) -> None:
        self.advanced.set_open(True)
        self.size_box.focus_width()

    def _take_recipe(self, lora: str) -> None:
        """Show what a few-step LoRA is run with, where its name says so."""
        card = self.picker.value().card
        file = Path(lora).name
        name = file if Path(lora).is_absolute() else lora
        recipe = card.family.recipe([name]) if card.family.recipe else None
        if recipe is not None and recipe.sampler in card.samplers:
            self._fill(recipe.settings)
            self.message.emit(
                f"{file} is for {recipe.steps} steps: steps, guidance, sampler "
                "and shift are set to go with it."
            )
