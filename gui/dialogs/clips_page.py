"""Settings > Clips: where clips are saved, and what their files are called."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from PySide6.QtWidgets import QLineEdit

from mlxvid.errors import SettingError
from mlxvid.gui.core.file_names import TOKENS, USUAL, check_pattern, stem_of
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import CLIPS, Preferences
from mlxvid.gui.widgets.fields import field_height
from mlxvid.gui.widgets.theme import set_role

from .page import FolderRow, Page

# A clip as an example of its name.
_EXAMPLE = {"prompt": "A lighthouse in the snow", "seed": 4711}


class ClipsPage(Page):
    """Changes apply from the next clip on."""

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self._preferences = preferences
        self.folder = FolderRow("Folder for clips", "Folder for Clips", self._set_folder)
        self._show_folder()
        self.names = QLineEdit(preferences.file_names)
        self.names.setAccessibleName("File names")
        self.names.setPlaceholderText(USUAL)
        self.names.setFixedHeight(field_height(self.names))
        self.names.textChanged.connect(self._set_names)
        self.add_row("Save clips in", self.folder)
        self.add_row("File names", self.names)
        self.example = self.add_note()
        known = ", ".join(f"{{{token}}}" for token in TOKENS)
        self.add_note().setText(f"They may have {known}.")
        self._show_example()

    def _set_folder(self, folder: Path) -> None:
        self._preferences.clips_folder = folder
        self._show_folder()

    def _show_folder(self) -> None:
        fixed = self._preferences.is_fixed(CLIPS)
        self.folder.show_folder(self._preferences.clips_folder, fixed=fixed)

    def _set_names(self, pattern: str) -> None:
        """Keep a pattern once it makes names: half a word in braces doesn't."""
        if self._show_example():
            self._preferences.file_names = pattern.strip()

    def _show_example(self) -> bool:
        """Show a name that the pattern makes, or why it makes none; whether it does."""
        pattern = self.names.text()
        try:
            check_pattern(pattern)
        except SettingError as error:
            set_role(self.example, "danger")
            self.example.setText(shown(error))
            return False
        set_role(self.example, "faint")
        self.example.setText(f"{stem_of(pattern, _EXAMPLE, datetime.now())}.mp4")
        return True
