"""The line over the clip's lower edge while models are downloaded or imported."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.downloads import ModelJobs, job_text
from mlxvid.gui.widgets.elided import FactsLabel
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import small


class FetchBar(QWidget):
    """Shows the job that was begun first, of those that are not in sight elsewhere. One that the
    user closes is not shown again.
    """

    def __init__(
        self,
        jobs: ModelJobs,
        title_of: Callable[[str], str],
        is_in_sight: Callable[[str], bool],
    ):
        super().__init__()
        self._jobs = jobs
        self._title_of = title_of
        self._is_in_sight = is_in_sight
        self._name = ""
        self._closed: set[str] = set()  # the models whose jobs were closed
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
        close = QToolButton()
        close.setObjectName("fetch-close")
        close.setIcon(icon("close"))
        close.setAccessibleName("Close")
        close.setToolTip("Close; it goes on, and Models shows it")
        close.clicked.connect(self._close)
        row = QHBoxLayout()
        row.setContentsMargins(16, 6, 12, 6)
        row.setSpacing(8)
        row.addWidget(small(self._label), 1)
        row.addWidget(small(self._pause))
        row.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._progress)
        layout.addLayout(row)
        jobs.changed.connect(self.follow)
        self.hide()

    def follow(self, *_: object) -> None:
        """Show how things are now; nothing while there is nothing to show."""
        self._closed &= set(self._jobs.names)
        open_ = [name for name in self._jobs.names if name not in self._closed]
        names = [name for name in open_ if not self._is_in_sight(name)]
        self.setVisible(bool(names))
        if not names:
            return
        self._name = names[0]
        job = self._jobs.job(self._name)
        assert job is not None
        more = f", {len(names) - 1} more" if len(names) > 1 else ""
        self._label.setText(f"{self._title_of(self._name)} · {job_text(job)}{more}")
        self._pause.setText("Pause" if job.kind == "download" else "Stop")
        self._pause.setEnabled(not job.stopped)
        if job.progress:
            self._progress.setRange(0, job.progress["total"])
            self._progress.setValue(job.progress["step"])
        else:
            self._progress.setRange(0, 0)

    def _close(self) -> None:
        self._closed.add(self._name)
        self.follow()
