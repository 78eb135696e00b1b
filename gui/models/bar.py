"""The line below the clip while models are downloaded or imported, whatever else is in view."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from mlxvid.gui.core.downloads import ModelJobs, job_text
from mlxvid.gui.widgets.elided import FactsLabel
from mlxvid.gui.widgets.theme import small


class FetchBar(QWidget):
    """Shows the job that was begun first. show_model: the name of a model to look at."""

    show_model = Signal(str)

    def __init__(self, jobs: ModelJobs, title_of: Callable[[str], str]):
        super().__init__()
        self._jobs = jobs
        self._title_of = title_of
        self._name = ""
        self._label = FactsLabel()
        self._label.setObjectName("fetch-state")
        self._label.setAccessibleName("Model")
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName("Model progress")
        self._pause = QPushButton("Pause")
        self._pause.setObjectName("fetch-pause")
        self._pause.setToolTip("Keep what is here, to go on later in Models")
        self._pause.clicked.connect(lambda: jobs.stop(self._name))
        self._show = QPushButton("Show")
        self._show.setObjectName("fetch-show")
        self._show.setAccessibleName("Show model")
        self._show.setToolTip("Open Models")
        self._show.clicked.connect(lambda: self.show_model.emit(self._name))
        row = QHBoxLayout()
        row.setContentsMargins(16, 6, 12, 6)
        row.setSpacing(8)
        row.addWidget(small(self._label), 1)
        for button in (self._pause, self._show):
            row.addWidget(small(button))
        jobs.changed.connect(self.follow)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._progress)
        layout.addLayout(row)
        self.hide()

    def follow(self, *_: object) -> None:
        """Show how things are now; nothing while nothing is at work."""
        names = self._jobs.names
        self.setVisible(bool(names))
        if not names:
            return
        self._name = names[0]
        job = self._jobs.job(self._name)
        assert job is not None
        more = f", {len(names) - 1} more" if len(names) > 1 else ""
        self._label.setText(f"{self._title_of(self._name)}: {job_text(job)}{more}")
        self._pause.setText("Pause" if job.kind == "download" else "Stop")
        self._pause.setEnabled(not job.stopped)
        if job.progress:
            self._progress.setRange(0, job.progress["total"])
            self._progress.setValue(job.progress["step"])
        else:
            self._progress.setRange(0, 0)
