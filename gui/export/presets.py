"""Named sets of format, size, rate and speed: those that are there, and the user's own."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QLineEdit,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.recipes import PRESETS, Recipe, packed, unpacked
from mlxvid.gui.widgets.fields import choice, pick, with_button
from mlxvid.gui.widgets.theme import faint_label, set_role

CUSTOM = "Custom"
_KEPT = "export_presets"


class PresetRow(QWidget):
    """A choice of presets, and the way to keep one. chosen: a Recipe."""

    chosen = Signal(object)

    def __init__(self, preferences: Preferences, parent: QWidget | None = None):
        super().__init__(parent)
        self._preferences = preferences
        self._recipe = Recipe()
        self._own: dict[str, Recipe] = {}
        for name, value in preferences.recall(_KEPT, {}).items():
            recipe = unpacked(value)
            if recipe is not None:
                self._own[name] = recipe
        self._names = choice("Preset", [])
        self._names.setObjectName("preset")
        self._names.activated.connect(self._choose)
        self._more = QToolButton()
        self._more.setText("…")
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._more.setAccessibleName("Save or delete presets")
        self._more.setToolTip("Save or delete presets")
        self._more.setObjectName("preset-menu")
        menu = QMenu(self)
        menu.addAction("Save as Preset…", self._ask_name)
        self._delete = menu.addAction("Delete Preset", self._delete_own)
        self._more.setMenu(menu)
        self._name = QLineEdit()
        self._name.setPlaceholderText("Name of the preset")
        self._name.setAccessibleName("Name of the preset")
        self._name.setObjectName("preset-name")
        self._name.returnPressed.connect(self._save)
        keep = QPushButton("Save")
        keep.setAutoDefault(False)
        keep.setAccessibleName("Save preset")
        keep.clicked.connect(self._save)
        self._naming = with_button(self._name, keep)
        self._naming.hide()
        self._problem = faint_label()
        set_role(self._problem, "warning")
        self._problem.setObjectName("preset-problem")
        self._problem.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(with_button(self._names, self._more))
        column.addWidget(self._naming)
        column.addWidget(self._problem)
        self._fill()

    def show_recipe(self, recipe: Recipe) -> None:
        """Show the name of a recipe, if it has one."""
        self._recipe = recipe
        self._fill()

    def _fill(self) -> None:
        known = {**PRESETS, **self._own}
        name = next((name for name, recipe in known.items() if recipe == self._recipe), None)
        self._names.clear()
        if name is None:
            self._names.addItem(CUSTOM, None)
        for group in (PRESETS, self._own):
            if self._names.count() and group:
                self._names.insertSeparator(self._names.count())
            for known_name in group:
                self._names.addItem(known_name, known_name)
        pick(self._names, name)
        self._delete.setEnabled(name in self._own)

    def _choose(self) -> None:
        recipe = {**PRESETS, **self._own}.get(self._names.currentData())
        if recipe is not None:
            self.chosen.emit(recipe)

    def _ask_name(self) -> None:
        self._naming.show()
        self._name.setFocus()

    def _save(self) -> None:
        name = self._name.text().strip()
        taken = name in PRESETS or name == CUSTOM
        if taken or not name:
            self._problem.setText("Choose another name." if taken else "Give the preset a name.")
            self._problem.show()
            self._name.setFocus()
            return
        self._own[name] = self._recipe
        self._name.clear()
        self._naming.hide()
        self._problem.hide()
        self._write()

    def _delete_own(self) -> None:
        self._own.pop(self._names.currentData(), None)
        self._write()

    def _write(self) -> None:
        kept = {name: packed(recipe) for name, recipe in self._own.items()}
        self._preferences.remember(_KEPT, kept)
        self._fill()
