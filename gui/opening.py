"""Files that come to the window from outside: opened, dropped or pasted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, QObject, Qt, Signal
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from mlxvid.errors import MlxvidError
from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.core.drops import Opened, files_in, is_film, keep_picture, looked_at, pixels_in
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.player.stage import Stage
from mlxvid.run.repeat import repeatable


class Opening(QObject):
    """Show clips and films, and restore the settings in them; make pictures the start image.

    What a file is shows when it is read, out of the window's thread. several: pictures that came
    together. message: what was left out. warning: why something can't be taken.
    """

    several = Signal(list)
    message = Signal(str)
    warning = Signal(str)

    def __init__(
        self, window: QWidget, stage: Stage, compose: ComposePanel, preferences: Preferences
    ):
        super().__init__(window)
        self._window = window
        self._stage = stage
        self._compose = compose
        self._preferences = preferences
        self._tasks = Tasks(1, self)  # one after the other, as they came

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

        A film without settings is just shown; anything else is refused with a sentence.
        """
        self._tasks.run(lambda task: looked_at(path), done=self._take, failed=self._refuse)

    def paste(self) -> None:
        """Take a picture or file from the clipboard as if it had been dropped."""
        self.receive(QGuiApplication.clipboard().mimeData())

    def takes(self, event: QDropEvent) -> bool:
        """Whether there is anything to take in a drag other than of the clip in view."""
        mime = event.mimeData()
        given = bool(files_in(mime)) or mime.hasImage()
        return given and event.source() is not self._stage.player.canvas

    def receive(self, mime: QMimeData) -> None:
        """Take the first file, or else the pixels, of what was dropped or pasted."""
        files = files_in(mime)
        if files:
            self.open_file(files[0])
            pictures = [file for file in files if not is_film(file)]
            if len(pictures) > 1 and self._compose.picker.value().takes("image"):
                self.several.emit(pictures)
            elif len(files) > 1:
                left = f"Only {files[0].name} is opened, the first of {len(files)} files"
                self.message.emit(f"{left}: open the others one by one.")
        elif (image := pixels_in(mime)) is not None:
            self._tasks.run(
                lambda task: looked_at(keep_picture(image)),
                done=self._take,
                failed=self._refuse,
            )

    def _take(self, task: Task, opened: Opened) -> None:
        if opened.picture is not None:
            self._compose.set_start_image(opened.path, opened.picture)
            return
        self._stage.open(opened.path)
        if not opened.settings:
            return
        try:
            repeatable(opened.settings, opened.path.name)
        except MlxvidError as error:
            self.warning.emit(shown(error))
        else:
            self._compose.apply_settings(opened.settings)

    def _refuse(self, task: Task, message: str) -> None:
        self.warning.emit(message)
