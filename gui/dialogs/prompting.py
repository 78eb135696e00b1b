"""Help > Writing Prompts: what helps with every model, and what each likes to be told."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDialog, QLabel, QVBoxLayout, QWidget

from mlxvid.gui.core.choices import Choice, Choices
from mlxvid.gui.widgets.fields import choice, labelled, line, pick

ADVICE = (
    "Say what is seen first, then what moves and how, then the camera and the light.",
    "Describe one shot. A clip of some seconds has no room for a story or a cut.",
    "If it starts from a picture, describe the motion and leave out what the picture shows.",
    "Say what is there. What shouldn't be goes into the negative prompt, if there is one.",
    "Change the words and keep the seed to see what a word does.",
)
_WIDTH = 460  # pixels at a 9 point font


class PromptingDialog(QDialog):
    """Stays open beside the window while one writes."""

    def __init__(self, choices: Choices, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWindowTitle("Writing Prompts")
        self._choices = choices
        self.model: QComboBox = choice("Model", [])
        self._own = _text("")
        self._own.setAccessibleName("What this model likes to be told")
        self.model.currentIndexChanged.connect(self._show_own)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 20)
        column.setSpacing(12)
        for advice in ADVICE:
            column.addWidget(_text(advice))
        column.addWidget(line())
        column.addWidget(labelled("Model", self.model))
        column.addWidget(self._own)
        column.addStretch(1)
        width = round(_WIDTH * self.fontInfo().pointSizeF() / 9)
        self.setMinimumWidth(width)
        self._own.setMinimumHeight(4 * self.fontMetrics().lineSpacing())
        choices.modelReset.connect(self._fill)
        self._fill()
        self.resize(width, column.heightForWidth(width))

    def show_model(self, name: str) -> None:
        """Show what a model likes to be told, one of the choices."""
        pick(self.model, name)

    def _fill(self) -> None:
        chosen = self.model.currentData()
        self.model.clear()
        for row in range(self._choices.rowCount()):
            found = self._choices.at(row)
            if found is not None:
                self.model.addItem(found.title, found.name)
        self.show_model(chosen)

    def _show_own(self) -> None:
        found: Choice | None = self._choices.find(str(self.model.currentData()))
        self._own.setText(found.card.family.prompting if found else "")


def _text(words: str) -> QLabel:
    label = QLabel(words)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
