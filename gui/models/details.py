"""The details of one model: what it makes, its state, and buttons for what can be done."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.downloads import ModelJob, job_text
from mlxvid.gui.core.licences import page_of
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.links import LinkLabel
from mlxvid.gui.widgets.theme import faint_label, set_role

from .survey import ModelRow, Presence, size_text
from .variant_field import VariantField, label_width

_PAGE = re.compile(re.escape(page_of("")) + r"[\w.-]+/[\w.-]*\w")


class ModelDetails(QWidget):
    """One model; the panel connects the buttons.

    They are `use`, `get` (download, import or copy, or go on with that), `settings`, `pause`,
    `more` and `remove`. page_wanted: the address of a page that the user wants to see.
    """

    page_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._row: ModelRow | None = None
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
        self._grid.setColumnMinimumWidth(0, label_width(self))
        self._labels: list[QLabel] = []
        self.variant = VariantField()
        self.variant.changed.connect(self._show_get)
        self._progress = ElidedLabel()
        self._progress.setObjectName("job-progress")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress")
        self._error = _wrapped()
        self._error.setObjectName("job-error")
        set_role(self._error, "danger")
        self._last_words = faint_label()
        self._last_words.setWordWrap(True)
        self._last_words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._last_words.setObjectName("job-last-words")
        self.use = QPushButton("Use")
        self.use.setToolTip("Make clips with this model")
        self.get = QPushButton("Download")
        self.page = QPushButton("Open Its Page")
        self.page.setToolTip("Where access to it is asked for")
        self.page.clicked.connect(self._want_page)
        self.settings = QPushButton("Settings…")
        self.settings.setToolTip("Where models are kept, and the hub's token")
        self.pause = QPushButton("Pause")
        self.pause.setToolTip("Stop for now; what is done so far is kept")
        self.more = QPushButton("More")
        self.more.setToolTip("What else can be done with it")
        self.remove = QPushButton("Delete…")
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in self._buttons():
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.remove)
        facts = QWidget()
        column = QVBoxLayout(facts)
        column.setContentsMargins(28, 24, 28, 8)
        column.setSpacing(8)
        column.addWidget(self._title)
        column.addWidget(self._about)
        column.addSpacing(14)
        column.addLayout(self._grid)
        column.addSpacing(6)
        column.addWidget(self.variant)
        column.addStretch(1)
        # Large text needs more room than a small window has.
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(facts)
        foot = QVBoxLayout()
        foot.setContentsMargins(28, 8, 28, 20)
        foot.setSpacing(8)
        for widget in (self._error, self._last_words, self._progress, self._bar):
            foot.addWidget(widget)
        foot.addSpacing(4)
        foot.addLayout(buttons)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(scroll, 1)
        whole.addLayout(foot)

    def _buttons(self) -> tuple[QPushButton, ...]:
        return self.use, self.get, self.page, self.settings, self.pause, self.more

    def show_model(
        self, row: ModelRow | None, job: ModelJob | None, error: str, last_words: str = ""
    ) -> None:
        """Show a model, its job, and how the job before failed: its error, what it printed last."""
        self._row = row
        self._show_job(job)
        self._error.setText(error)
        self._error.setVisible(bool(error) and job is None)
        self._last_words.setText(last_words)
        self._last_words.setVisible(bool(last_words) and job is None)
        self._title.setVisible(row is not None)
        self._about.setVisible(row is not None)
        self._show_facts(_facts(row) if row else [])
        self.variant.show_model(row if job is None else None)
        self._show_buttons(row, job)
        if row is not None:
            self._title.setText(row.title)
            self._about.setText(row.description)

    def _show_buttons(self, row: ModelRow | None, job: ModelJob | None) -> None:
        """Show what can be done with a model now."""
        if row is None:
            for button in (*self._buttons(), self.remove):
                button.hide()
            return
        idle = job is None
        self.use.setVisible(row.complete and not row.in_files)
        self.use.setEnabled(row.usable and idle)
        self.pause.setVisible(not idle)
        # Access to a gated model is asked for there, as the error says.
        self.page.setVisible(bool(self._named_page()) and not self._error.isHidden())
        if job is not None:
            self.pause.setText("Pause" if job.kind == "download" else "Stop")
            self.pause.setEnabled(not job.stopped)
        self.more.setVisible(idle and bool(row.repo or row.folder))
        self.remove.setText(_remove_text(row))
        self.remove.setVisible(idle and _is_removable(row))
        set_role(self.use, "primary" if row.complete else "")
        self._show_get()

    def _named_page(self) -> str:
        """The page that the error names; "" for none."""
        found = _PAGE.search(self._error.text())
        return found[0] if found else ""

    def _want_page(self) -> None:
        self.page_wanted.emit(self._named_page())

    def _show_get(self) -> None:
        """Show what the chosen variant needs to be had."""
        row = self._row
        if row is None:
            return
        variant = self.variant.value()
        is_copy = variant is not None and bool(variant.copy)
        failed = not self._error.isHidden()
        self.get.setVisible(not self.pause.isVisibleTo(self) and (not row.complete or is_copy))
        self.get.setText("Try Again" if failed and not is_copy else _get_text(row, is_copy))
        problem = variant.problem if variant is not None else ""
        self.get.setEnabled(not problem)
        error = self._error.text() if failed else ""
        self.settings.setVisible(self.get.isVisibleTo(self) and "Settings" in f"{problem}{error}")
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
                    label.linkActivated.connect(self.page_wanted)
                    self._grid.addWidget(label, row, column, Qt.AlignmentFlag.AlignTop)
                    self._labels.append(label)
        for row, (name, value, role) in enumerate(facts):
            title = self._labels[2 * row]
            text = self._labels[2 * row + 1]
            title.setText(name)
            is_link = role == "link"
            text.setTextFormat(Qt.TextFormat.RichText if is_link else Qt.TextFormat.PlainText)
            text.setText(f'<a href="{page_of(value)}">{value}</a>' if is_link else value)
            text.setToolTip("Open its page on the hub" if is_link else "")
            text.setAccessibleName(f"{name}: {value}")
            set_role(text, "" if is_link else role)


def _facts(row: ModelRow) -> list[tuple[str, str, str]]:
    """The facts about a model: a label, the value, and the role that colours it or makes a link."""
    facts = []
    if row.kind:
        facts.append(("Kind", row.kind, ""))
    if row.makes:
        facts.append(("Makes", row.makes, ""))
    if row.licence:
        facts.append(("Licence", row.licence, ""))
    facts.append(("Status", row.presence.value.capitalize(), ""))
    if row.total_bytes and not row.complete and not row.variants:
        facts.append(("Download", size_text(row.total_bytes), ""))
    if row.disk_bytes:
        facts.append(("On disk", size_text(row.disk_bytes), ""))
    if row.fit is not None:
        facts.append(("Memory", row.fit.sentence, "" if row.fits else "warning"))
    if row.repo:
        facts.append(("Source", row.repo, "link"))
    if row.folder:
        facts.append(("Folder", str(row.folder), ""))
    return facts


def _get_text(row: ModelRow, is_copy: bool) -> str:
    """What the button says that gets a model, or a copy of it."""
    if row.begun is not None or row.presence is Presence.PARTIAL and not is_copy:
        return "Resume"
    if not is_copy:
        return "Download"
    return "Make Copy" if row.complete else "Download and Convert"


def _is_removable(row: ModelRow) -> bool:
    if row.folder is not None:
        return True
    return row.disk_bytes > 0 and row.presence is not Presence.PACKAGED


def _remove_text(row: ModelRow) -> str:
    if row.folder is None:
        return "Delete…"
    if row.begun is not None and not row.disk_bytes:
        return "Remove from List"
    return "Move to Trash…" if row.made else "Remove from List"


def _wrapped() -> QLabel:
    label = LinkLabel()
    flags = Qt.TextInteractionFlag
    label.setTextInteractionFlags(flags.TextSelectableByMouse | flags.LinksAccessibleByMouse)
    return label
