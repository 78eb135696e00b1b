"""The fields of the compose panel, and their layout."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.widgets.fields import labelled, line, two_columns, whole
from mlxvid.model.settings import SETTINGS

from .advanced import AdvancedBox
from .complaint import Complaint
from .levels import LevelsBar
from .loras import LorasBox, loras_in
from .model_picker import ModelPicker
from .negative import NegativeBox
from .pictures import PicturesBox
from .piece_count import PieceCount
from .plan_line import PlanLine
from .prompt import PromptEdit
from .prompts_button import PromptsButton
from .seed import SeedBox
from .setting_fields import number_field, whole_field
from .size import LengthBox, SizeBox

EXAMPLE = "a red ball bouncing on a navy background"
MAX_TAKES = 99
# Settings that stay in their fields when another model is chosen.
_SHARED = ("prompt", "negative_prompt", "seed", "image", "last_image")
# Pixels left and right of the fields.
_SIDE = 16


class ComposeForm(QWidget):
    """A column of fields that scrolls, and under it the plan and the button.

    What the fields do to each other is :class:`ComposePanel`'s.
    """

    def __init__(
        self,
        database: Database,
        choices: Choices,
        preferences: Preferences,
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self.setAcceptDrops(True)
        self._make_fields(database, choices, preferences)
        self._lay_out()

    def _make_fields(self, database: Database, choices: Choices, preferences: Preferences) -> None:
        self.picker = ModelPicker(choices)
        self.prompt = PromptEdit(SETTINGS["prompt"].label, EXAMPLE, 4, grows=True)
        self.prompt.setObjectName("prompt")
        self.piece_count = PieceCount(self.prompt)
        self.negative_box = NegativeBox()
        self.negative = self.negative_box.edit
        self.prompts = PromptsButton(self.prompt, self.negative_box, database, preferences)
        self.pictures = PicturesBox()
        self.size_box = SizeBox()
        self.levels = LevelsBar(self.size_box)
        self.length_box = LengthBox()
        self.steps = whole_field(SETTINGS["steps"])
        self.guidance = number_field(SETTINGS["guidance"], 0.5)
        self.seed = SeedBox()
        self.takes = whole("Takes", 1, MAX_TAKES, "Clips to make, with the seed and those after it")
        self.takes.setObjectName("takes")
        self.loras = LorasBox()
        self.advanced = AdvancedBox()
        self.plan_line = PlanLine(database)
        self.button = QPushButton("Generate")
        self.button.setObjectName("generate")
        self.button.setProperty("role", "primary")
        self._stop_button = QPushButton("Cancel")
        self._stop_button.setObjectName("stop_editing")
        self._banner = QLabel("Editing a clip in the queue")
        self._banner.setObjectName("editing_banner")
        self._banner.setWordWrap(True)

    def _lay_out(self) -> None:
        self._body = QWidget()
        self._fields = QVBoxLayout(self._body)
        self._fields.setContentsMargins(_SIDE, 12, _SIDE, 12)
        self._fields.setSpacing(8)
        self._fill_fields()
        self._area = QScrollArea()
        self._area.setWidget(self._body)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setProperty("role", "panel")
        self._area.verticalScrollBar().rangeChanged.connect(self._make_room)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._area, 1)
        layout.addWidget(line())
        layout.addLayout(self._foot())
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)

    def _fill_fields(self) -> None:
        self._loras_row = labelled(SETTINGS["loras"].label, self.loras)
        self._loras_row.setObjectName("loras_row")
        length_and_takes = QWidget()
        grid = two_columns(length_and_takes)
        grid.addWidget(self.length_box, 0, 0)
        grid.addWidget(labelled("Takes", self.takes), 0, 1)
        parts = (self.picker, self.prompt, self.pictures, self.loras, self.advanced)
        self.complaints: dict[QWidget, Complaint] = {part: Complaint() for part in parts}
        self._fields.addWidget(labelled(SETTINGS["model"].label, self.picker))
        self._fields.addWidget(self.complaints[self.picker])
        self._fields.addWidget(
            labelled(SETTINGS["prompt"].label, self.prompt, self.piece_count, self.prompts), 1
        )
        self._fields.addWidget(self.complaints[self.prompt])
        self._fields.addWidget(self.negative_box)
        self._fields.addWidget(self.pictures)
        self._fields.addWidget(self.complaints[self.pictures])
        for part in (self.levels, self.size_box, length_and_takes):
            self._fields.addWidget(part)
        self.advanced.hold(self._folded())
        self._fields.addWidget(self.advanced)
        self._fields.addWidget(self.complaints[self.advanced])

    def _folded(self) -> list[QWidget]:
        """What is folded away besides the advanced box's own."""
        numbers = QWidget()
        grid = two_columns(numbers)
        grid.addWidget(labelled(SETTINGS["steps"].label, self.steps), 0, 0)
        grid.addWidget(labelled(SETTINGS["guidance"].label, self.guidance), 0, 1)
        grid.addWidget(self.length_box.frames, 1, 0)
        grid.addWidget(labelled(SETTINGS["fps"].label, self.advanced.fps), 1, 1)
        seed = labelled(SETTINGS["seed"].label, self.seed)
        loras = [self._loras_row, self.complaints[self.loras]]
        return [seed, numbers, self.size_box.pixels, *loras]

    def _foot(self) -> QVBoxLayout:
        """The plan and the buttons."""
        buttons = QHBoxLayout()
        buttons.addWidget(self._stop_button)
        buttons.addWidget(self.button, 1)
        foot = QVBoxLayout()
        foot.setContentsMargins(_SIDE, 10, _SIDE, 14)
        foot.setSpacing(10)
        foot.addWidget(self.plan_line)
        foot.addWidget(self._banner)
        foot.addLayout(buttons)
        return foot

    def settings(self) -> dict[str, Any]:
        """All settings of the clip to be made, as a job holds them."""
        choice = self.picker.value()
        width, height = self.size_box.value()
        found = {
            "model": choice.name,
            "prompt": self.prompt.toPlainText().strip(),
            "width": width,
            "height": height,
            "frames": self.length_box.value(),
            "steps": self.steps.value(),
            "guidance": self.guidance.value(),
            "seed": self.seed.value(),
        }
        if choice.takes("negative_prompt"):
            found["negative_prompt"] = self.negative.toPlainText().strip()
        if choice.takes("loras") and self.loras.value():
            found["loras"] = self.loras.value()
        return found | self.advanced.settings(choice) | self.pictures.settings()

    def particular(self) -> dict[str, Any]:
        """Of these settings, those that are kept for each model."""
        settings = self.settings()
        return {name: value for name, value in settings.items() if name not in _SHARED}

    def fill_particular(self, settings: dict[str, Any]) -> None:
        """Show what each model has of its own; what is not among the settings is the model's."""
        choice = self.picker.value()
        defaults = choice.card.defaults
        self.advanced.set_settings(settings, choice)
        self.length_box.set_fps(self.advanced.fps.value())
        self.length_box.set_value(settings.get("frames") or defaults.frames)
        width = settings.get("width") or defaults.width
        height = settings.get("height") or defaults.height
        self.size_box.set_value(width, height)
        self.steps.setValue(settings.get("steps") or defaults.steps)
        guidance = settings.get("guidance")
        self.guidance.setValue(defaults.guidance if guidance is None else guidance)
        self.loras.set_value(settings.get("loras") or [])
        self.pictures.set_frames(self.length_box.value())

    def fill_shared(self, settings: dict[str, Any]) -> None:
        """Show what stays in its fields when another model is chosen."""
        self.prompt.set_text(settings["prompt"])
        self.negative.set_text(settings.get("negative_prompt") or "")
        self.negative_box.fit()
        self.seed.set_value(settings.get("seed", self.seed.value()))
        self.pictures.set_settings(settings)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """LoRAs can be dropped anywhere here; other files are for the window."""
        if loras_in(event.mimeData()):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        choice = self.picker.value()
        if not choice.takes("loras"):
            text = f"{choice.title} takes no LoRAs: choose a model that does."
            self.complaints[self.picker].say(text)
            return
        self.advanced.set_open(True)
        for path in loras_in(event.mimeData()):
            self.loras.add_file(path)

    def _make_room(self, low: int, high: int) -> None:
        """Put the scroll bar in the margin, so that the fields end where the button below ends."""
        bar = self._area.verticalScrollBar().sizeHint().width() if high > low else 0
        self._fields.setContentsMargins(_SIDE, 12, _SIDE - bar, 12)

    def _fit(self) -> None:
        """Set the least width that cuts no field off, folded away or not."""
        parts = (self.size_box, self.length_box, self.seed, self.advanced.body, self.pictures)
        need = max(part.minimumSizeHint().width() for part in parts)
        margins = self._fields.contentsMargins()
        visible = self._body.minimumSizeHint().width() - margins.left() - margins.right()
        self._area.setMinimumWidth(max(need, visible) + 2 * _SIDE)
