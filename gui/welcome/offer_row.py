"""One model that is offered: what it takes, its download, and its button."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from mlxvid.gui.core.choices import Choice
from mlxvid.gui.core.disks import GB
from mlxvid.gui.core.downloads import ModelJobs, job_text
from mlxvid.gui.core.fetching import why_not
from mlxvid.gui.core.times import Expected
from mlxvid.gui.widgets.elided import joined
from mlxvid.gui.widgets.theme import faint_label, set_role

from .offers import Offer


class OfferRow(QWidget):
    """get, pause, use, look: its button was pressed; the model's name.

    look: it is downloaded in the Models window, after its licence is accepted.
    """

    get = Signal(str)
    pause = Signal(str)
    use = Signal(str)
    look = Signal(str)

    def __init__(self, offer: Offer, choice: Choice, jobs: ModelJobs):
        super().__init__()
        self._offer = offer
        self._choice = choice
        self._jobs = jobs
        title = QLabel(choice.title)
        self._facts = faint_label()
        self._facts.setWordWrap(True)
        self._facts.setObjectName("offer-facts")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(f"Download of {choice.title}")
        self.button = QPushButton()
        self.button.setToolTip(choice.card.description)
        self.button.clicked.connect(self._press)
        words = QVBoxLayout()
        words.setSpacing(2)
        for part in (title, self._facts, self._bar):
            words.addWidget(part)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 4, 0, 4)
        row.setSpacing(16)
        row.addLayout(words, 1)
        row.addWidget(self.button)
        self.follow()

    @property
    def name(self) -> str:
        return self._offer.name

    @property
    def bits(self) -> int | None:
        return self._offer.bits

    def follow(self) -> None:
        """Show how far its download is."""
        job = self._jobs.job(self.name)
        failure = self._jobs.failure(self.name)
        refusal = ""
        if not (self._choice.here or self._choice.has_terms or job is not None):
            refusal = why_not(self._choice)
        problem = failure or refusal
        self._bar.setVisible(job is not None and bool(job.progress))
        if job is not None and job.progress:
            self._bar.setRange(0, job.progress["total"])
            self._bar.setValue(job.progress["step"])
        self._facts.setText(job_text(job) if job is not None else problem or self._summary())
        set_role(self._facts, "danger" if problem and job is None else "faint")
        self.button.setText(self._verb())
        self.button.setAccessibleName(f"{self._verb()}: {self._choice.title}")
        self.button.setEnabled(not refusal)

    def _summary(self) -> str:
        weights = f"{self._offer.bits or self._offer.stored_bits}-bit weights"
        place = "on this disk"
        if not self._choice.here:
            place = f"{self._choice.card.download_bytes / GB:.1f} GB"
        time = f"a clip takes {Expected(self._offer.seconds, guessed=True)}"
        return joined((weights, place, time))

    def _verb(self) -> str:
        if self._choice.here:
            return "Use"
        if self._jobs.job(self.name) is not None:
            return "Pause"
        if self._choice.has_terms:
            return "Download…"
        if self._jobs.failure(self.name):
            return "Try Again"
        return "Resume" if self._jobs.is_paused(self.name) else "Download"

    def _press(self) -> None:
        if self._choice.here:
            self.use.emit(self.name)
        elif self._jobs.job(self.name) is not None:
            self.pause.emit(self.name)
        elif self._choice.has_terms:
            self.look.emit(self.name)
        else:
            self.get.emit(self.name)
