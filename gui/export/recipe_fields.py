"""The fields of a recipe: format, size, frame rate and speed."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QComboBox, QFormLayout

from mlxvid.gui.core.copies import Source
from mlxvid.gui.core.recipes import FORMATS, ORIGINAL, Recipe
from mlxvid.gui.widgets.fields import choice, pick

SIDES = (1920, 1280, 960, 640, 480, 320)
RATES = (8.0, 10.0, 12.5, 15.0, 16.0, 24.0, 25.0, 30.0, 50.0, 60.0)
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)


class RecipeFields(QObject):
    """The fields, in the rows of a form. changed: the Recipe that they make."""

    changed = Signal(object)

    def __init__(self, sources: list[Source], form: QFormLayout, parent: QObject | None = None):
        super().__init__(parent)
        self._sources = sources
        self._form = form
        self._format = choice("Format", [(known.name, known.key) for known in FORMATS])
        for place, known in enumerate(FORMATS):
            self._format.setItemData(place, known.hint, Qt.ItemDataRole.ToolTipRole)
        self._side = choice("Size", [])
        self._fps = choice("Frame rate", [])
        self._speed = choice("Speed", [])
        self._fields = (
            ("Format", "format", self._format),
            ("Size", "size", self._side),
            ("Frame rate", "rate", self._fps),
            ("Speed", "speed", self._speed),
        )
        for label, name, field in self._fields:
            field.setObjectName(f"export-{name}")
            field.activated.connect(self._change)
            form.addRow(label, field)

    @property
    def recipe(self) -> Recipe:
        """What the fields say."""
        return Recipe(
            self._format.currentData(),
            self._side.currentData(),
            self._fps.currentData(),
            self._speed.currentData(),
        )

    def show_recipe(self, recipe: Recipe) -> None:
        """Have the fields say this."""
        pick(self._format, recipe.form)
        _fill(self._side, self._sides(recipe.side), recipe.side)
        _fill(self._fps, self._rates(recipe), recipe.fps)
        speeds = sorted({*SPEEDS, recipe.speed})
        _fill(self._speed, [(f"{speed:g}×", speed) for speed in speeds], recipe.speed)
        for _, _, field in self._fields[1:]:
            self._form.setRowVisible(field, recipe.form != ORIGINAL.key)

    def _change(self) -> None:
        self.show_recipe(self.recipe)
        self.changed.emit(self.recipe)

    def _sides(self, chosen: int) -> list[tuple[str, object]]:
        """The sizes that are smaller than the clips, and the one chosen."""
        largest = max(max(source.width, source.height) for source in self._sources)
        sides = {side for side in SIDES if side < largest} | {chosen} - {0}
        options: list[tuple[str, object]] = [(self._size(0), 0)]
        for side in sorted(sides, reverse=True):
            options.append((self._size(side), side))
        return options

    def _size(self, side: int) -> str:
        if len(self._sources) > 1:
            return f"At most {side} pixels wide or high" if side else "As the clips are"
        source = self._sources[0]
        width, height = Recipe(side=side).size(source.width, source.height)
        return f"{width}×{height}"

    def _rates(self, recipe: Recipe) -> list[tuple[str, object]]:
        own = {source.fps for source in self._sources}
        text = "As the clips are"
        if len(own) == 1:
            text = f"{Recipe(speed=recipe.speed).rate(own.pop()):g} fps, all frames"
        rates = sorted({*RATES, recipe.fps} - {0.0})
        return [(text, 0.0), *((f"{rate:g} fps", rate) for rate in rates)]


def _fill(field: QComboBox, options: list[tuple[str, object]], value: object) -> None:
    field.clear()
    for text, data in options:
        field.addItem(text, data)
    pick(field, value)
