"""The Settings window: the settings of the app itself."""

from __future__ import annotations

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

from mlxvid.gui.core.preferences import Appearance, Preferences
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.fields import choice, pick, whole

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
        self._folder = ElidedLabel(str(preferences.clips_folder), Qt.TextElideMode.ElideMiddle)
        self._folder.setAccessibleName("Folder for clips")
        choose = QPushButton("Choose…")
        choose.setAccessibleName("Choose the folder for clips")
        choose.clicked.connect(self._choose_folder)
        folder = QWidget()
        row = QHBoxLayout(folder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._folder, 1)
        row.addWidget(choose)
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
        form.addRow("Save clips in", folder)
        form.addRow("Appearance", appearance)
        form.addRow("Warn if no response for", patience)
        form.addRow(buttons)
        self.setMinimumWidth(form.sizeHint().width() + 160)

    def _set_appearance(self, value: str) -> None:
        # Qt returns the plain text of a string enumeration.
        self._preferences.appearance = Appearance(value)

    def _set_silence(self, minutes: int) -> None:
        self._preferences.silence = 60 * minutes

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, "Folder for Clips", str(self._preferences.clips_folder))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._take_folder)
        dialog.open()

    def _take_folder(self, folder: str) -> None:
        self._preferences.clips_folder = Path(folder)
        self._folder.setText(str(self._preferences.clips_folder))
