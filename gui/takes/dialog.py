"""The dialog for a grid: two settings, their values, and what that will take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.grids import grid_of, separator, values_of, variable
from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.messages import label, shown
from mlxvid.gui.widgets.fields import choice
from mlxvid.gui.widgets.theme import set_role, small

# What a first grid varies, where the model takes it.
_FIRST = ("steps", "guidance")


class GridDialog(QDialog):
    """Asks for a grid of the clip that `settings` make. chosen: its jobs.

    cost: how long some jobs will take, in words, "" where that isn't known; it raises
    :class:`MlxvidError` for jobs that can't be made.
    """

    chosen = Signal(list)

    def __init__(
        self, settings: dict[str, Any], cost: Callable[[list[Job]], str], parent: QWidget | None
    ):
        super().__init__(parent)
        self.setWindowTitle("Make Grid")
        self._settings = settings
        self._cost = cost
        self._jobs: list[Job] = []
        self.names: list[QComboBox] = []
        self.values: list[QLineEdit] = []
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setColumnStretch(2, 1)
        known = variable(settings)
        for row, (side, first) in enumerate(zip(("Columns", "Rows"), _FIRST, strict=True)):
            options: list[tuple[str, object]] = [(label(setting), setting) for setting in known]
            name = choice(f"Setting of the {side.lower()}", options)
            name.setCurrentIndex(known.index(first) if first in known else row)
            values = QLineEdit()
            values.setMinimumWidth(260)
            values.setAccessibleName(f"Values of the {side.lower()}")
            self.names.append(name)
            self.values.append(values)
            grid.addWidget(QLabel(side), row, 0)
            grid.addWidget(name, row, 1)
            grid.addWidget(values, row, 2)
            self._begin(row)
            name.currentIndexChanged.connect(lambda _, row=row: self._begin(row))
            values.textChanged.connect(self._check)
        self.line = small(QLabel())
        self.line.setObjectName("grid_line")
        self.line.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.add = QPushButton("Add to Queue")
        self.add.setDefault(True)
        set_role(self.add, "primary")
        buttons.addButton(self.add, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(14)
        layout.addLayout(grid)
        layout.addWidget(self.line)
        layout.addWidget(buttons)
        self.values[0].setFocus()
        self._check()

    def _begin(self, row: int) -> None:
        """Begin the values of a setting with the clip's own."""
        name = self.names[row].currentData()
        between = "commas" if separator(name) == "," else "|"
        self.values[row].setPlaceholderText(f"Values, with {between} between them")
        own = self._settings[name]
        words = f"{own:g}" if isinstance(own, float) else str(own)
        self.values[row].setText("" if own is None else words)

    def _check(self) -> None:
        """Say what the grid will take, or what is wrong with it."""
        if len(self.values) < 2:
            return  # still being built
        self._jobs = []
        try:
            x, y = (name.currentData() for name in self.names)
            across, down = (
                values_of(name, field.text())
                for name, field in zip((x, y), self.values, strict=True)
            )
            jobs = grid_of(self._settings, x, across, y, down)
            cost = self._cost(jobs)
        except MlxvidError as error:
            self._say(shown(error), "danger")
            return
        self._jobs = jobs
        count = f"{len(jobs)} clip{'' if len(jobs) == 1 else 's'}"
        self._say(f"{count}, {cost}" if cost else count, "faint")

    def _say(self, text: str, role: str) -> None:
        self.line.setText(text)
        set_role(self.line, role)
        self.add.setEnabled(len(self._jobs) > 1)

    def _accept(self) -> None:
        self.accept()
        self.chosen.emit(self._jobs)
