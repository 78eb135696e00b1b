"""The strip under the picture while a clip is being made: progress, time to go, cancel."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.progress_text import progress_text, share
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.theme import small

# Steps of the progress bar.
_FULL = 1000


class ProgressStrip(QWidget):
    """Visible while a clip is being made.

    watch: the user wants to see the clip that is being made. cancel: to stop it.
    """

    watch = Signal()
    cancel = Signal()

    def __init__(self, runner: Runner):
        super().__init__()
        self._runner = runner
        self._title = ElidedLabel()
        self._title.setProperty("role", "heading")
        self._title.setAccessibleName("Clip being made")
        self._text = ElidedLabel()
        self._text.setProperty("role", "faint")
        self._text.setAccessibleName("Progress")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress of the clip")
        self._watch = QPushButton("Watch")
        self._watch.setToolTip("Show previews of the clip being made")
        self._watch.clicked.connect(self.watch)
        self._cancel = QPushButton("Cancel")
        self._cancel.setObjectName("cancel-clip")
        self._cancel.setToolTip("Stop this clip; you can resume it later")
        self._cancel.clicked.connect(self.cancel)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._title)
        words.addWidget(small(self._text))
        row = QHBoxLayout()
        row.setContentsMargins(16, 8, 12, 8)
        row.setSpacing(8)
        row.addLayout(words, 1)
        row.addWidget(self._watch, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._cancel, 0, Qt.AlignmentFlag.AlignVCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addLayout(row)
        runner.started.connect(self._begin)
        runner.progressed.connect(self._show_progress)
        runner.changed.connect(self._update)
        self._update()

    def set_watched(self, watched: bool) -> None:
        """Set whether the clip that is being made is in view."""
        self._watch.setVisible(not watched)

    def _begin(self, job: Job) -> None:
        self._title.setText(job.title)
        self._show_progress(job, {})

    def _show_progress(self, job: Job, event: dict[str, Any]) -> None:
        if not self._runner.cancelling:
            self._text.setText(progress_text(event))
        self._bar.setRange(0, _FULL if event else 0)  # busy while nothing is known
        self._bar.setValue(round(_FULL * share(event)))

    def _update(self) -> None:
        self.setVisible(self._runner.current is not None)
        self._cancel.setEnabled(not self._runner.cancelling)
        if self._runner.cancelling:
            self._text.setText("Stopping after this step…")
