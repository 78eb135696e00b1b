"""The sheet that asks how clips are exported, and where to."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from PySide6.QtCore import QStandardPaths, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from mlxvid.gui.core.copies import Copy, Source
from mlxvid.gui.core.export_names import ending, free_copies, free_name, name_problem, named
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.recipes import ORIGINAL, Recipe, packed, unpacked
from mlxvid.gui.widgets.elided import DOT, ElidedLabel
from mlxvid.gui.widgets.fields import choice, with_button
from mlxvid.gui.widgets.theme import faint_label, set_role
from mlxvid.media.encodings import ENCODINGS

from .presets import PresetRow
from .recipe_fields import RecipeFields

# The endings of clips that hold less than the frames that were made.
LOSSY = (".mp4", ".webm", ".gif", ".webp")
_RECIPE = "export_recipe"
_FOLDER = "export_folder"


class ExportSheet(QDialog):
    """Asks about the export of one clip or many.

    chosen: the copies to make, and the recipe. clips: the files of the library's clips. taken:
    where copies go that are still being made.
    """

    chosen = Signal(list, object)

    def __init__(
        self,
        sources: list[Source],
        preferences: Preferences,
        clips: Collection[str],
        taken: Collection[Path],
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self.setWindowTitle("Export")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._sources = sources
        self._preferences = preferences
        self._clips = clips
        self._taken = taken
        self._renamed = False  # by the user, and not after the clip
        self._folder = _usual_folder(preferences)
        self._form = QFormLayout(self)
        self._lay_out()
        recipe = unpacked(preferences.recall(_RECIPE, {})) or Recipe()
        self._take(recipe)

    def _lay_out(self) -> None:
        form = self._form
        form.setContentsMargins(20, 20, 20, 16)
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._presets = PresetRow(self._preferences)
        self._presets.chosen.connect(self._take)
        form.addRow("Preset", self._presets)
        self._fields = RecipeFields(self._sources, form, self)
        self._fields.changed.connect(self._take)
        self._range = choice("Part", [("Between the marks", True), ("Whole clip", False)])
        self._range.setObjectName("export-part")
        self._range.activated.connect(self._show)
        form.addRow("Part", self._range)
        self._name = QLineEdit()
        self._name.setAccessibleName("Name")
        self._name.setObjectName("export-name")
        self._name.textEdited.connect(self._rename)
        self._ending = faint_label()
        self._named = with_button(self._name, self._ending)
        form.addRow("Name", self._named)
        self._place = ElidedLabel("", Qt.TextElideMode.ElideMiddle)
        self._place.setAccessibleName("Folder")
        choose = QPushButton("Choose…")
        choose.setAutoDefault(False)
        choose.setAccessibleName("Choose the folder")
        choose.clicked.connect(self._choose_folder)
        form.addRow("Where", with_button(self._place, choose))
        self._facts = QLabel()
        self._facts.setWordWrap(True)
        self._facts.setMinimumHeight(3 * self._facts.fontMetrics().lineSpacing())
        self._facts.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._facts.setObjectName("export-facts")
        form.addRow("", self._facts)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._export = self._buttons.addButton("Export", QDialogButtonBox.ButtonRole.AcceptRole)
        self._export.setDefault(True)
        set_role(self._export, "primary")
        self._buttons.accepted.connect(self._finish)
        self._buttons.rejected.connect(self.reject)
        form.addRow(self._buttons)
        form.setRowVisible(self._named, len(self._sources) == 1)
        self.setMinimumWidth(round(46 * self.fontMetrics().averageCharWidth() * 1.6))

    # --- what is chosen ---------------------------------------------------------------------------

    def _take(self, recipe: Recipe) -> None:
        self._fields.show_recipe(recipe)
        self._presets.show_recipe(recipe)
        self._show()

    def _source(self) -> Source:
        """The clip, or its part between the marks."""
        source = self._sources[0]
        whole = self._fields.recipe.form == ORIGINAL.key or not self._range.currentData()
        if whole:
            return Source(source.path, source.frames, source.fps, source.width, source.height)
        return source

    def _rename(self) -> None:
        self._renamed = True
        self._show()

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, "Export To", str(self._folder))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._take_folder)
        dialog.open()

    def _take_folder(self, folder: str) -> None:
        self._folder = Path(folder)
        self._show()

    def _copies(self) -> list[Copy]:
        form = self._fields.recipe.format
        if len(self._sources) > 1:
            return free_copies(self._sources, self._folder, form, self._taken)
        source = self._source()
        target = named(self._folder, self._name.text(), ending(source, form))
        return [Copy(source, target)]

    def _finish(self) -> None:
        if self._problem():
            return
        recipe = self._fields.recipe
        copies = self._copies()
        self._preferences.remember(_RECIPE, packed(recipe))
        self._preferences.remember(_FOLDER, str(self._folder))
        self.chosen.emit(copies, recipe)
        self.accept()

    # --- what is shown ----------------------------------------------------------------------------

    def _show(self) -> None:
        recipe = self._fields.recipe
        source = self._sources[0]
        marked = len(self._sources) == 1 and source.marked
        self._form.setRowVisible(self._range, marked and recipe.form != ORIGINAL.key)
        self._place.setText(str(self._folder))
        suffix = ending(source, recipe.format)
        if not self._renamed:
            stem = source.path.stem
            free = free_name(self._folder, stem, suffix, self._taken)
            self._name.setText(free.name.removesuffix(suffix))
        self._ending.setText(suffix or "folder")
        problem = self._problem()
        self._facts.setText(problem or self._summary())
        set_role(self._facts, "warning" if problem else "faint")
        self._export.setEnabled(not problem)
        replaces = len(self._sources) == 1 and self._copies()[0].target.exists()
        self._export.setText("Replace" if replaces and not problem else "Export")

    def _problem(self) -> str:
        """Why this can't be exported, one sentence; "" where it can."""
        recipe = self._fields.recipe
        for source in self._sources:
            size = recipe.size(source.width, source.height)
            codec = recipe.format.codec
            if codec and min(size) < ENCODINGS[codec].least:
                least = ENCODINGS[codec].least
                return f"{recipe.format.name} needs {least} pixels a side: choose another format."
        if recipe.too_fast:
            return "GIFs play 50 frames a second at most: choose fewer."
        if len(self._sources) > 1:
            there = self._folder.is_dir()
            return "" if there else "This folder is not there any more: choose another."
        (copy,) = self._copies()
        return name_problem(self._name.text(), copy.target, self._clips, self._taken)

    def _summary(self) -> str:
        """What will be made."""
        recipe = self._fields.recipe
        if len(self._sources) > 1:
            facts = f"{len(self._sources)} clips, each under its own name"
        else:
            source = self._source()
            width, height = recipe.size(source.width, source.height)
            seconds = recipe.seconds(source.count, source.fps)
            rate = recipe.rate(source.fps)
            facts = DOT.join((f"{width}×{height}", f"{rate:g} fps", f"{seconds:.1f} s"))
        hints = [recipe.format.hint]
        if recipe.format.master and all(s.path.suffix.lower() in LOSSY for s in self._sources):
            hints.append("no finer than the clip's own file")
        if recipe.form == ORIGINAL.key and self._sources[0].marked:
            hints.append("the whole clip, whatever the marks")
        return f"{facts}\n{', '.join(hints)}."


def _usual_folder(preferences: Preferences) -> Path:
    """The folder of the last export; at first the user's movies."""
    last = preferences.recall(_FOLDER, "")
    if last and Path(last).is_dir():
        return Path(last)
    movies = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
    return Path(movies) if Path(movies).is_dir() else Path.home()
