"""The fields in which a clip is composed, and their places."""

from __future__ import annotations

from PySide6.QtCore import Qt
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
from mlxvid.gui.widgets.fields import decimal, labelled, line, two_columns, whole
from mlxvid.model.settings import MAX_GUIDANCE, MAX_STEPS

from .advanced import AdvancedBox
from .loras import LorasBox
from .model_picker import ModelPicker
from .pictures import PicturesBox
from .plan_line import PlanLine
from .prompt import PromptEdit
from .seed import SeedBox
from .size import LengthBox, SizeBox

EXAMPLE = "a red ball bouncing on a navy background"
MAX_TAKES = 99
# Left and right of the fields.
_SIDE = 16


class ComposeForm(QWidget):
    """A column that scrolls, and under it what the clip costs and the button. What the fields do is
    :class:`ComposePanel`'s.
    """

    def __init__(self, database: Database, choices: Choices, parent: QWidget | None = None):
        super().__init__(parent)
        self._make_fields(database, choices)
        self._lay_out()

    def _make_fields(self, database: Database, choices: Choices) -> None:
        self.picker = ModelPicker(choices)
        self.prompt = PromptEdit("Prompt", EXAMPLE, 3)
        self.negative = PromptEdit("Negative prompt", "What it should not show", 2)
        self.pictures = PicturesBox()
        self.size_box = SizeBox()
        self.length_box = LengthBox()
        self.steps = whole("Steps", 1, MAX_STEPS, "More steps are finer and take longer")
        self.guidance = decimal(
            "Guidance",
            0,
            MAX_GUIDANCE,
            1,
            0.5,
            "How strongly the prompt pulls; 1 is not at all, and twice as fast",
        )
        self.seed = SeedBox()
        self.takes = whole("Takes", 1, MAX_TAKES, "So many clips, with the seed and those after it")
        self.loras = LorasBox()
        self.advanced = AdvancedBox()
        self.plan_line = PlanLine(database)
        self.button = QPushButton("Generate")
        self.button.setProperty("role", "primary")
        self._stop_button = QPushButton("Cancel")
        self._banner = QLabel("Changing a clip that waits in the queue")
        self._banner.setWordWrap(True)

    def _lay_out(self) -> None:
        body = QWidget()
        form = QVBoxLayout(body)
        form.setContentsMargins(_SIDE, 12, _SIDE, 12)
        form.setSpacing(8)
        self._negative_row = labelled("Negative prompt", self.negative)
        self._loras_row = labelled("LoRAs", self.loras)
        seed_row, numbers = QHBoxLayout(), QWidget()
        grid = two_columns(numbers)
        grid.addWidget(labelled("Steps", self.steps), 0, 0)
        grid.addWidget(labelled("Guidance", self.guidance), 0, 1)
        seed_row.setSpacing(10)
        seed_row.addWidget(labelled("Seed", self.seed), 1)
        seed_row.addWidget(labelled("Takes", self.takes))
        self.takes.setFixedWidth(self.takes.sizeHint().width() + 12)
        prompts = (
            labelled("Model", self.picker),
            labelled("Prompt", self.prompt),
            self._negative_row,
        )
        for part in (*prompts, self.pictures, self.size_box, self.length_box, numbers):
            form.addWidget(part)
        form.addLayout(seed_row)
        for part in (self._loras_row, self.advanced):
            form.addWidget(part)
        form.addStretch(1)
        self._area = area = QScrollArea()
        area.setWidget(body)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setProperty("role", "panel")
        area.verticalScrollBar().rangeChanged.connect(self._make_room)
        foot = QVBoxLayout()
        foot.setContentsMargins(_SIDE, 10, _SIDE, 14)
        foot.setSpacing(10)
        buttons = QHBoxLayout()
        buttons.addWidget(self._stop_button)
        buttons.addWidget(self.button, 1)
        foot.addWidget(self.plan_line)
        foot.addWidget(self._banner)
        foot.addLayout(buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(area, 1)
        layout.addWidget(line())
        layout.addLayout(foot)
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)

    def _make_room(self, low: int, high: int) -> None:
        """The bar stands in the margin, so that the fields end where the button below them ends."""
        bar = self._area.verticalScrollBar().sizeHint().width() if high > low else 0
        self._area.widget().layout().setContentsMargins(_SIDE, 12, _SIDE - bar, 12)

    def _fit(self) -> None:
        """Never so narrow that a field is cut off, folded away or not."""
        need = max(
            part.minimumSizeHint().width()
            for part in (
                self.size_box,
                self.length_box,
                self.seed,
                self.advanced.body,
                self.pictures,
            )
        )
        margins = self._area.widget().layout().contentsMargins()
        inside = max(
            need, self._area.widget().minimumSizeHint().width() - margins.left() - margins.right()
        )
        self._area.setMinimumWidth(inside + 2 * _SIDE)
