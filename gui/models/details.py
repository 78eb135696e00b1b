"""The details of one model: what it makes, its state, and buttons for what can be done."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.downloads import ModelJob, job_text
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.theme import faint_label, set_role

from .list_model import ModelRow, Presence, size_text


class ModelDetails(QWidget):
    """One model; the panel connects the buttons.

    They are `use`, `get` (download or import, or resume that), `pause`, `verify` and `remove`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._title = _wrapped()
        large = QFont(self.font())
        large.setPointSizeF(large.pointSizeF() * 1.5)
        self._title.setFont(large)
        set_role(self._title, "heading")
        self._about = _wrapped()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(18)
        self._grid.setVerticalSpacing(9)
        self._grid.setColumnStretch(1, 1)
        self._labels: list[QLabel] = []
        self._progress = ElidedLabel()
        self._progress.setObjectName("job-progress")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress")
        self._error = _wrapped()
        self._error.setObjectName("job-error")
        set_role(self._error, "danger")
        self.use = QPushButton("Use")
        self.use.setToolTip("Make clips with this model")
        self.get = QPushButton("Download")
        self.pause = QPushButton("Pause")
        self.pause.setToolTip("Stop for now; what is done so far is kept")
        self.verify = QPushButton("Verify")
        self.verify.setToolTip("Compare every file with its checksum")
        self.remove = QPushButton("Delete…")
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.use, self.get, self.pause, self.verify):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(28, 24, 28, 20)
        column.setSpacing(8)
        column.addWidget(self._title)
        column.addWidget(self._about)
        column.addSpacing(14)
        column.addLayout(self._grid)
        column.addStretch(1)
        column.addWidget(self._error)
        column.addWidget(self._progress)
        column.addWidget(self._bar)
        column.addSpacing(10)
        column.addLayout(buttons)

    def show_model(self, row: ModelRow | None, job: ModelJob | None, error: str) -> None:
        """Show a model, its job, and the error of the job before."""
        self._show_job(job)
        self._error.setText(error)
        self._error.setVisible(bool(error) and job is None)
        self._title.setVisible(row is not None)
        self._about.setVisible(row is not None)
        self._show_facts(_facts(row) if row else [])
        self._show_buttons(row, job)
        if row is not None:
            self._title.setText(row.title)
            self._about.setText(row.description)

    def _show_buttons(self, row: ModelRow | None, job: ModelJob | None) -> None:
        """Show what can be done with a model now."""
        if row is None:
            for button in (self.use, self.get, self.pause, self.verify, self.remove):
                button.hide()
            return
        idle = job is None
        downloaded = row.presence is Presence.COMPLETE and row.repo is not None
        deletable = row.disk_bytes > 0 and row.presence is not Presence.PACKAGED
        self.use.setVisible(row.complete)
        self.use.setEnabled(row.usable and idle)
        self.get.setVisible(not row.complete and idle)
        self.get.setText(_get_text(row))
        self.pause.setVisible(not idle)
        if job is not None:
            self.pause.setText("Pause" if job.kind == "download" else "Stop")
            self.pause.setEnabled(not job.stopped)
        self.verify.setVisible(idle and downloaded)
        self.remove.setVisible(idle and deletable)
        set_role(self.use, "primary" if row.complete else "")
        set_role(self.get, "primary" if row.fits and not row.complete else "")

    def _show_job(self, job: ModelJob | None) -> None:
        self._progress.setVisible(job is not None)
        self._bar.setVisible(job is not None)
        if job is not None:
            self._progress.setText(job_text(job))
            self._bar.setRange(0, job.progress.get("total", 0))
            self._bar.setValue(job.progress.get("step", 0))

    def _show_facts(self, facts: list[tuple[str, str, str]]) -> None:
        if len(self._labels) != 2 * len(facts):
            for label in self._labels:
                self._grid.removeWidget(label)
                label.deleteLater()
            self._labels = []
            for row in range(len(facts)):
                for column, label in enumerate((faint_label(), _wrapped())):
                    self._grid.addWidget(label, row, column, Qt.AlignmentFlag.AlignTop)
                    self._labels.append(label)
        for row, (name, value, role) in enumerate(facts):
            title = self._labels[2 * row]
            text = self._labels[2 * row + 1]
            title.setText(name)
            text.setText(value)
            text.setAccessibleName(f"{name}: {value}")
            set_role(text, role)


def _facts(row: ModelRow) -> list[tuple[str, str, str]]:
    """The facts about a model: a label, the value, and the role that colours it."""
    facts = []
    if row.makes:
        facts.append(("Makes", row.makes, ""))
    if row.licence:
        facts.append(("Licence", row.licence, ""))
    facts.append(("Status", row.presence.value.capitalize(), ""))
    if row.total_bytes and not row.complete:
        facts.append(("Download", size_text(row.total_bytes), ""))
    if row.disk_bytes:
        facts.append(("On disk", size_text(row.disk_bytes), ""))
    if row.memory:
        facts.append(("Memory", row.memory, "" if row.fits else "warning"))
    if row.repo:
        facts.append(("Source", row.repo, ""))
    if row.folder:
        facts.append(("Folder", str(row.folder), ""))
    return facts


def _get_text(row: ModelRow) -> str:
    """What the button says that completes a model."""
    if row.presence is Presence.PARTIAL:
        return "Resume"
    return "Import" if row.folder else "Download"


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
