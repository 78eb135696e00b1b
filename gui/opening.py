"""Files that come to the window from outside: opened, dropped or pasted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from mlxvid.errors import MlxvidError
from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.core.drops import files_in, picture_in, take
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.player.stage import Stage


class Opening(QObject):
    """Show clips and restore their settings; make pictures the start image.

    warning: why something can't be taken.
    """

    warning = Signal(str)

    def __init__(
        self, window: QWidget, stage: Stage, compose: ComposePanel, preferences: Preferences
    ):
        super().__init__(window)
        self._window = window
        self._stage = stage
        self._compose = compose
        self._preferences = preferences

    def ask(self) -> None:
        """Ask for a clip, whose settings are restored, or a picture to start with."""
        folder = str(self._preferences.clips_folder)
        dialog = QFileDialog(self._window, "Open a Clip or a Picture", folder)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda file: self.open_file(Path(file)))
        dialog.open()

    def open_files(self, paths: Sequence[Path]) -> None:
        """Open the files that the app was started with."""
        for path in paths:
            self.open_file(path)

    def open_file(self, path: Path) -> None:
        """Show a clip and restore its settings, or use a picture as the start image.

        Anything else is refused with a sentence.
        """
        try:
            take(
                path,
                lambda settings: self._open_clip(path, settings),
                self._compose.set_start_image,
            )
        except MlxvidError as error:
            self.warning.emit(shown(error))

    def _open_clip(self, path: Path, settings: dict[str, Any]) -> None:
        self._stage.open(path)
        self._compose.apply_settings(settings)

    def paste(self) -> None:
        """Take a picture or file from the clipboard as if it had been dropped."""
        self.receive(QGuiApplication.clipboard().mimeData())

    def takes(self, mime: QMimeData) -> bool:
        """Whether there is anything to take in what is dragged."""
        return bool(files_in(mime)) or mime.hasImage()

    def receive(self, mime: QMimeData) -> None:
        """Take the first file, or else the pixels, of what was dropped or pasted."""
        if files_in(mime):
            self.open_file(files_in(mime)[0])
        elif mime.hasImage():
            try:
                self._compose.set_start_image(picture_in(mime))
            except MlxvidError as error:
                self.warning.emit(shown(error))
