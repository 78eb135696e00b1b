"""The line at the foot of the gallery where selected clips have no files: locate, or remove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.locating import locating
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.theme import small


class MissingLine(QWidget):
    """Offers what can be done about clips whose files are missing.

    located: the ids of those that were found. removed: they are to leave the gallery. message,
    warning: what came of it.
    """

    located = Signal(list)
    removed = Signal()
    message = Signal(str)
    warning = Signal(str)

    def __init__(self, database: Database, parent: QWidget | None = None):
        super().__init__(parent)
        self._database = database
        self._tasks = Tasks(1, self)
        self._rows: list[ClipRow] = []
        self._label = ElidedLabel()
        self._label.setObjectName("missing")
        self._label.setAccessibleName("Missing files")
        self.locate_button = _button("Locate…", "Choose where they are now", self.ask)
        self.remove_button = _button("Remove", "Take them out of the gallery", self.removed.emit)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.locate_button)
        buttons.addWidget(self.remove_button)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 6, 10, 8)
        layout.setSpacing(6)
        layout.addWidget(small(self._label))
        layout.addLayout(buttons)
        self.hide()

    def show_rows(self, rows: list[ClipRow]) -> None:
        """Speak of these clips; of none, be gone."""
        self._rows = rows
        self.setVisible(bool(rows))
        if len(rows) == 1:
            self._label.setText(f"Missing: {rows[0].path.name}")
        else:
            self._label.setText(f"{len(rows)} files are missing.")

    def ask(self) -> None:
        """Ask where the clips are now."""
        one = len(self._rows) == 1
        rows = list(self._rows)
        title = f"Locate {rows[0].path.name}" if one else "Locate the Folder of These Clips"
        start = next((place for place in rows[0].path.parents if place.is_dir()), Path.home())
        dialog = QFileDialog(self, title, str(start))
        in_file = one and rows[0].path.suffix
        mode = QFileDialog.FileMode.ExistingFile if in_file else QFileDialog.FileMode.Directory
        dialog.setFileMode(mode)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda chosen: self.locate(rows, Path(chosen)))
        dialog.open()

    def locate(self, rows: list[ClipRow], chosen: Path) -> None:
        """Find clips in the file or folder that the user chose."""
        work = locating(rows, self._database.clips(), chosen)
        self._tasks.run(work, done=self._found, failed=self._fail)

    def _found(self, task: Task, found: dict[int, Path]) -> None:
        self._database.move_clips(found)
        self.located.emit(list(found))
        if len(found) > 1:
            folder = next(iter(found.values())).parent
            self.message.emit(f"{len(found)} clips were found in {folder}.")

    def _fail(self, task: Task, message: str) -> None:
        self.warning.emit(message)


def _button(text: str, hint: str, then: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(hint)
    button.setAccessibleName(text)
    button.clicked.connect(lambda: then())
    return small(button)
