"""Settings > General: the look, notifications, and where the app keeps its own files."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from mlxvid.gui.core.database_file import data_folder
from mlxvid.gui.core.preferences import WORK, Appearance, Preferences
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.fields import check, choice, pick
from mlxvid.paths import cache_folder

from .page import FolderRow, Page, button, lay_out, short, show_in_files

APPEARANCES = [
    ("Same as System", Appearance.SYSTEM),
    ("Light", Appearance.LIGHT),
    ("Dark", Appearance.DARK),
]


class GeneralPage(Page):
    """Changes apply at once; another folder for unfinished clips from the next clip on."""

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self._preferences = preferences
        self.appearance = choice("Appearance", APPEARANCES)
        pick(self.appearance, preferences.appearance)
        self.appearance.activated.connect(self._set_appearance)
        preferences.appearance_changed.connect(self._show_appearance)
        self.notifies = check("Notify when a long run ends", "While you are in another app")
        self.notifies.setChecked(preferences.notifies)
        self.notifies.toggled.connect(self._set_notifies)
        self.work = FolderRow(
            "Folder for unfinished clips",
            "Folder for Unfinished Clips",
            self._set_work_folder,
            lambda: self._set_work_folder(None),
        )
        self.work.setToolTip("What Resume goes on with: some hundred MB for each clip")
        self._show_work_folder()
        self.add_row("Appearance", self.appearance)
        self.add_row("", self.notifies)
        self.add_row("Unfinished clips in", self.work)
        self.add_row("Library in", _library())

    def _set_appearance(self) -> None:
        # Qt returns the plain text of a string enumeration.
        self._preferences.appearance = Appearance(self.appearance.currentData())

    def _show_appearance(self) -> None:
        pick(self.appearance, self._preferences.appearance)

    def _set_notifies(self, notifies: bool) -> None:
        self._preferences.notifies = notifies

    def _set_work_folder(self, folder: Path | None) -> None:
        self._preferences.work_folder = folder
        self._show_work_folder()

    def _show_work_folder(self) -> None:
        self.work.show_folder(
            cache_folder("runs").parent,
            fixed=self._preferences.is_fixed(WORK),
            resets=self._preferences.work_folder is not None,
        )


def _library() -> QWidget:
    """Where the queue, the favourites and the prompts are, which only a look is needed at."""
    folder = data_folder()
    label = ElidedLabel(short(folder), Qt.TextElideMode.ElideMiddle)
    label.setAccessibleName("Folder of the library")
    label.setToolTip("The queue, favourites, prompts and the log")
    row = QWidget()
    lay_out(row, label, button("Show", "Show the library's folder", lambda: show_in_files(folder)))
    return row
