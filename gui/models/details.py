"""One model, at length: what it is and takes, what is going on with it, and the buttons for what
can be done.
"""

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

from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.theme import faint_label, set_role

from .jobs import Job, job_text
from .list_model import Model, State, amount


class ModelDetails(QWidget):
    """The buttons are the panel's to connect: `use`, `get` (download, or go on with it), `pause`,
    `check`, `remove`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._title = _wrapped()
        large = QFont(self.font())
        large.setPointSizeF(large.pointSizeF() * 1.5)
        self._title.setFont(large)
        set_role(self._title, "heading")
        self._about = _wrapped()
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(18)
        self._facts.setVerticalSpacing(9)
        self._facts.setColumnStretch(1, 1)
        self._labels: list[QWidget] = []
        self._doing = ElidedLabel()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress")
        self._complaint = _wrapped()
        set_role(self._complaint, "danger")
        self.use, self.get, self.pause = (
            QPushButton("Use"),
            QPushButton("Download"),
            QPushButton("Pause"),
        )
        self.check, self.remove = QPushButton("Verify"), QPushButton("Delete…")
        self.use.setToolTip("Make clips with this model")
        self.pause.setToolTip("What is downloaded by now stays; go on at any time")
        self.check.setToolTip("Compare every file with its checksum")
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.use, self.get, self.pause, self.check):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(28, 24, 28, 20)
        column.setSpacing(8)
        column.addWidget(self._title)
        column.addWidget(self._about)
        column.addSpacing(14)
        column.addLayout(self._facts)
        column.addStretch(1)
        column.addWidget(self._complaint)
        column.addWidget(self._doing)
        column.addWidget(self._bar)
        column.addSpacing(10)
        column.addLayout(buttons)

    def show_model(self, model: Model | None, job: Job | None, complaint: str) -> None:
        """Show a model, the job that is going on with it, and what went wrong before."""
        for widget in (
            self._title,
            self._about,
            self.use,
            self.get,
            self.pause,
            self.check,
            self.remove,
        ):
            widget.setVisible(model is not None)
        self._show_job(job)
        self._complaint.setText(complaint)
        self._complaint.setVisible(bool(complaint) and job is None)
        self._show_facts(_facts(model) if model else [])
        if model is None:
            return
        self._title.setText(model.title)
        self._about.setText(model.description)
        whole = model.state in (State.PACKAGED, State.HERE)
        idle = job is None
        self.use.setVisible(whole)
        self.use.setEnabled(model.usable and idle)
        self.get.setVisible(not whole and idle)
        self.get.setText(_getting(model))
        self.pause.setVisible(not idle)
        self.pause.setText("Pause" if job and job.kind == "download" else "Stop")
        self.pause.setEnabled(bool(job) and not job.stopped)
        self.check.setVisible(idle and model.state is State.HERE and model.repo is not None)
        self.remove.setVisible(idle and bool(model.taken) and model.state is not State.PACKAGED)
        set_role(self.use, "primary" if whole else "")
        set_role(self.get, "primary" if not whole and model.fits else "")

    def _show_job(self, job: Job | None) -> None:
        self._doing.setVisible(job is not None)
        self._bar.setVisible(job is not None)
        if job is not None:
            self._doing.setText(job_text(job))
            self._bar.setRange(0, job.progress.get("total", 0))
            self._bar.setValue(job.progress.get("step", 0))

    def _show_facts(self, facts: list[tuple[str, str, str]]) -> None:
        if len(self._labels) != 2 * len(facts):
            for label in self._labels:
                self._facts.removeWidget(label)
                label.deleteLater()
            self._labels = []
            for row in range(len(facts)):
                for column, label in enumerate((faint_label(), _wrapped())):
                    self._facts.addWidget(label, row, column, Qt.AlignmentFlag.AlignTop)
                    self._labels.append(label)
        for row, (name, value, role) in enumerate(facts):
            title, text = self._labels[2 * row : 2 * row + 2]
            title.setText(name)
            text.setText(value)
            text.setAccessibleName(f"{name}: {value}")
            set_role(text, role)


def _facts(model: Model) -> list[tuple[str, str, str]]:
    """(what, its value, the role that colours it)"""
    facts = [("Licence", model.licence, "")] if model.licence else []
    facts.append(("State", model.state.value.capitalize(), ""))
    if model.makes:
        facts.insert(0, ("Makes", model.makes, ""))
    if model.state in (State.ABSENT, State.PARTLY) and model.size:
        facts.append(("Download", amount(model.size), ""))
    if model.taken:
        facts.append(("On disk", amount(model.taken), ""))
    if model.fit:
        facts.append(("Memory", model.fit, "" if model.fits else "warning"))
    if model.repo:
        facts.append(("From", model.repo, ""))
    if model.folder:
        facts.append(("Folder", str(model.folder), ""))
    return facts


def _getting(model: Model) -> str:
    if model.state is State.PARTLY:
        return "Resume"
    return "Import" if model.folder else "Download"


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
