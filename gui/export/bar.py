"""The line over the clip's lower edge while copies are made, and where they are afterwards."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.export import Outcome, Progress
from mlxvid.gui.core.trash import FILE_MANAGER
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import small

# Milliseconds until a line that needs no answer goes by itself.
LASTING = 20_000


class ExportBar(QWidget):
    """Shows one export at a time, and the end of the latest.

    cancelled: everything is to stop. show_file: the file to show in the file manager.
    """

    cancelled = Signal()
    show_file = Signal(Path)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._saved: Path | None = None
        self._label = ElidedLabel()
        self._label.setObjectName("export-state")
        self._label.setAccessibleName("Export")
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName("Export progress")
        self._cancel = QPushButton("Cancel")
        self._cancel.setObjectName("export-cancel")
        self._cancel.setAccessibleName("Cancel export")
        self._cancel.clicked.connect(self.cancelled)
        self._show = QPushButton(f"Show in {FILE_MANAGER}")
        self._show.setObjectName("export-show")
        self._show.clicked.connect(self._ask_to_show)
        self._close = QToolButton()
        self._close.setIcon(icon("close"))
        self._close.setAccessibleName("Close")
        self._close.setToolTip("Close")
        self._close.clicked.connect(self.hide)
        self._timer = QTimer(self, singleShot=True, interval=LASTING)
        self._timer.timeout.connect(self.hide)
        row = QHBoxLayout()
        row.setContentsMargins(16, 6, 12, 6)
        row.setSpacing(8)
        row.addWidget(small(self._label), 1)
        for button in (self._cancel, self._show):
            row.addWidget(small(button))
        row.addWidget(self._close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._progress)
        layout.addLayout(row)
        self.hide()

    def show_start(self, target: Path, left: int) -> None:
        """Say what is being made, before its first frame is done."""
        more = f", {left} more to come" if left else ""
        self._label.setText(f"Exporting {target.name}{more}")
        self._progress.setRange(0, 0)
        self._set_working(True)

    def show_progress(self, progress: Progress) -> None:
        """Show how many frames are done."""
        self.show_start(progress.target, progress.left)
        if progress.done:
            self._progress.setRange(0, progress.count)
            self._progress.setValue(progress.done)

    def show_end(self, outcome: Outcome) -> None:
        """Say what was saved, and offer to show it; nothing where nothing was."""
        self._set_working(False)
        self._saved = outcome.saved[-1] if outcome.saved else None
        self._show.setVisible(self._saved is not None)
        if self._saved is None:
            self.setVisible(outcome.cancelled)
            self._label.setText("Export cancelled.")
        elif len(outcome.saved) == 1:
            self._label.setText(f"Exported {self._saved.name}.")
        else:
            count = str(len(outcome.saved))
            if outcome.failures:
                count += f" of {len(outcome.saved) + len(outcome.failures)}"
            self._label.setText(f"Exported {count} clips to {self._saved.parent.name}.")

    def _set_working(self, working: bool) -> None:
        self._progress.setVisible(working)
        self._cancel.setVisible(working)
        self._show.setVisible(not working)
        self._close.setVisible(not working)
        if working:
            self._timer.stop()
        else:
            self._timer.start()
        self.show()

    def _ask_to_show(self) -> None:
        if self._saved is not None:
            self.show_file.emit(self._saved)
