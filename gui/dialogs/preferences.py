"""The Settings window: the settings of the app itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from mlxvid import hub
from mlxvid.gui.core.preferences import Appearance, Preferences
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.fields import choice, pick, whole
from mlxvid.model.machine import GIB

APPEARANCES = [
    ("Dark", Appearance.DARK),
    ("Light", Appearance.LIGHT),
    ("Same as System", Appearance.SYSTEM),
]


class PreferencesDialog(QDialog):
    """The app's settings; changes apply at once."""

    def __init__(self, preferences: Preferences, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._preferences = preferences
        self._clips = ElidedLabel(str(preferences.clips_folder), Qt.TextElideMode.ElideMiddle)
        self._clips.setAccessibleName("Folder for clips")
        clips = _button("Choose…", "Choose the folder for clips", self._choose_clips)
        self._models = ElidedLabel("", Qt.TextElideMode.ElideMiddle)
        self._models.setAccessibleName("Folder for models")
        models = _button("Choose…", "Choose the folder for models", self._choose_models)
        usual = "Keep models in Hugging Face's cache, where other programs find them"
        self._reset = _button("Reset", usual, lambda: self._take_models(None))
        self._reset.setToolTip(usual)
        self._show_models()
        appearance = choice("Appearance", APPEARANCES)
        pick(appearance, preferences.appearance)
        appearance.activated.connect(lambda: self._set_appearance(appearance.currentData()))
        hint = "One step of a large model may take many minutes"
        patience = whole("Minutes without a response", 1, 600, hint)
        patience.setSuffix(" min")
        patience.setValue(max(1, preferences.silence // 60))
        patience.valueChanged.connect(self._set_silence)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.setContentsMargins(20, 20, 20, 16)
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(12)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Save clips in", _row(self._clips, clips))
        form.addRow("Keep models in", _row(self._models, models, self._reset))
        form.addRow("Appearance", appearance)
        form.addRow("Warn if no response for", patience)
        form.addRow(buttons)
        self.setMinimumWidth(form.sizeHint().width() + 160)

    def _set_appearance(self, value: str) -> None:
        # Qt returns the plain text of a string enumeration.
        self._preferences.appearance = Appearance(value)

    def _set_silence(self, minutes: int) -> None:
        self._preferences.silence = 60 * minutes

    def _choose_clips(self) -> None:
        self._choose("Folder for Clips", self._preferences.clips_folder, self._take_clips)

    def _choose_models(self) -> None:
        self._choose("Folder for Models", hub.hub_cache_folder(), self._take_models)

    def _choose(self, title: str, folder: Path, take: Callable[[str], None]) -> None:
        dialog = QFileDialog(self, title, str(folder))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(take)
        dialog.open()

    def _take_clips(self, folder: str) -> None:
        self._preferences.clips_folder = Path(folder)
        self._clips.setText(str(self._preferences.clips_folder))

    def _take_models(self, folder: str | None) -> None:
        self._preferences.models_folder = Path(folder) if folder else None
        self._show_models()

    def _show_models(self) -> None:
        """The folder that is in use, and what is free on its disk."""
        folder = hub.hub_cache_folder()
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(there).free / GIB
        self._models.setText(f"{folder}, {free:,.0f} GiB free")
        self._reset.setEnabled(self._preferences.models_folder is not None)


def _button(text: str, name: str, clicked: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setAccessibleName(name)
    button.clicked.connect(lambda: clicked())
    return button


def _row(label: ElidedLabel, *buttons: QPushButton) -> QWidget:
    """A label and what changes it, side by side."""
    widget = QWidget()
    row = QHBoxLayout(widget)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(label, 1)
    for button in buttons:
        row.addWidget(button)
    return widget
