"""The line over the queue: how many clips, how long they take, and when the last one is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QLabel, QWidget

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.fetching import Fetching
from mlxvid.gui.core.jobs import PAUSED, Job, State
from mlxvid.gui.core.progress_text import share
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.core.times import Expected, end_in, expected
from mlxvid.gui.widgets.elided import joined
from mlxvid.gui.widgets.theme import set_role, small

# Milliseconds between two looks at the clock.
_MINUTE = 60_000
# Settings that make no clip longer.
_NO_MATTER = {"prompt", "negative_prompt", "seed", "group"}


class QueueSummary(QLabel):
    """Jobs to be made and jobs that ended early, in words; and `then`, what follows after them."""

    def __init__(
        self,
        database: Database,
        runner: Runner,
        fetching: Fetching | None = None,
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self.setObjectName("queue_summary")
        self.setWordWrap(True)
        set_role(small(self), "faint")
        self._database = database
        self._runner = runner
        self._fetching = fetching
        self.then = ""
        self._jobs: Sequence[Job] = ()
        self._share = 0.0  # of the job that runs
        self._times: dict[str, Expected | None] = {}  # by all that a clip's time depends on
        runner.progressed.connect(self._note_progress)
        runner.started.connect(self._forget)
        runner.saved.connect(self._forget)
        self._clock = QTimer(self, interval=_MINUTE)
        self._clock.timeout.connect(self._show)
        self._clock.start()

    def show_jobs(self, jobs: Sequence[Job]) -> None:
        """Show what is to be said of these, the whole queue."""
        self._jobs = jobs
        self._show()

    def _show(self) -> None:
        to_make = [job for job in self._jobs if job.state in (State.WAITING, State.RUNNING)]
        aside = sum(job.message == PAUSED for job in self._jobs)
        ended = len(self._jobs) - len(to_make) - aside
        parts = ["Queue paused"] if self._runner.paused else []
        parts += self._to_make(to_make) if to_make else []
        parts += [f"{ended} interrupted"] if ended else []
        parts += [f"{aside} paused"] if aside else []
        parts += [self.then] if self.then else []
        self.setText(joined(parts))

    def _to_make(self, jobs: Sequence[Job]) -> list[str]:
        count = f"{len(jobs)} clip{'' if len(jobs) == 1 else 's'}"
        times = [self._left(job) for job in jobs]
        known = [left for left in times if left is not None]
        if len(known) < len(times):
            return [count]
        total = sum(known, Expected(0.0))
        if self._runner.paused:
            return [count, str(total)]
        if self._fetching is not None and any(self._fetching.state_of(job)[0] for job in jobs):
            return [count, str(total), "plus a download"]
        return [count, str(total), f"done {end_in(total.seconds)}"]

    def _left(self, job: Job) -> Expected | None:
        """The time that a job still takes."""
        kind = repr({name: job.settings[name] for name in sorted(job.settings.keys() - _NO_MATTER)})
        if kind not in self._times:
            self._times[kind] = expected(job.settings, self._database, self._runner.machine)
        whole = self._times[kind]
        if whole is None or job.state is not State.RUNNING:
            return whole
        return Expected(whole.seconds * (1 - self._share), whole.guessed)

    def _note_progress(self, job: Job, event: dict[str, Any]) -> None:
        of_weights = event.get("stage") in ("download", "load")
        self._share = 0.0 if of_weights else share(event)

    def _forget(self, *_: object) -> None:
        """Reckon anew: a run has been timed, or another begins."""
        self._share = 0.0
        self._times.clear()
        self._show()
