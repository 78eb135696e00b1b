"""The line at the foot of a panel while it exports: a progress bar and a cancel button."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from PySide6.QtCore import Signal, SignalInstance
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from .elided import ElidedLabel
from .export_formats import Format, ask_target
from .theme import small


class ExportJob(Protocol):
    """Saves one copy at a time; exactly one of `saved`, `failed` and `cancelled` ends it."""

    @property
    def progressed(self) -> SignalInstance: ...
    @property
    def saved(self) -> SignalInstance: ...
    @property
    def failed(self) -> SignalInstance: ...
    @property
    def cancelled(self) -> SignalInstance: ...
    @property
    def running(self) -> bool: ...

    def start(self, source: Path, target: Path, first: int, last: int | None) -> None: ...
    def cancel(self) -> None: ...


class ExportBar(QWidget):
    """Asks for a name, saves the copy, and reports the result: `message`, or `warning` if none."""

    message = Signal(str)
    warning = Signal(str)

    def __init__(self, job: ExportJob, parent: QWidget | None = None):
        super().__init__(parent)
        self.job = job
        self._label = ElidedLabel()
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName("Export progress")
        self._cancel = QPushButton("Cancel")
        self._cancel.setAccessibleName("Cancel export")
        self._cancel.clicked.connect(self.job.cancel)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 4, 10, 6)
        layout.setSpacing(10)
        layout.addWidget(small(self._label), 1)
        layout.addWidget(self._progress, 1)
        layout.addWidget(small(self._cancel))
        self.hide()
        self.job.progressed.connect(self._progressed)
        self.job.saved.connect(self._saved)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._cancelled)

    def ask(self, source: Path, form: Format, first: int = 0, last: int | None = None) -> None:
        """Ask for a name, and start to save the frames from `first` to `last` there."""
        target = ask_target(self, source, form)
        if target is not None:
            self.export(source, target, first, last)

    def export(self, source: Path, target: Path, first: int = 0, last: int | None = None) -> None:
        """Start to save a copy under a given name."""
        if self.job.running:
            self.message.emit("Another clip is being exported: wait for it, or cancel it.")
            return
        self._label.setText(f"Exporting {target.name}")
        self._progress.setRange(0, 0)  # busy, until the first frame is done
        self.show()
        self.job.start(source, target, first, last)

    def _progressed(self, done: int, count: int) -> None:
        self._progress.setRange(0, count)
        self._progress.setValue(done)

    def _saved(self, target: Path) -> None:
        self.hide()
        self.message.emit(f"Saved {target.name} in {target.parent}.")

    def _failed(self, message: str) -> None:
        self.hide()
        self.warning.emit(message)

    def _cancelled(self) -> None:
        self.hide()
        self.message.emit("The export was cancelled; nothing was saved.")
