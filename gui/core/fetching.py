"""The models that waiting jobs lack: downloaded beside the queue, which goes on with the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QObject, Signal

from mlxvid import hub
from mlxvid.model.card import Card
from mlxvid.paths import free_bytes

from .choices import Choice, Choices
from .database import Database
from .disks import lack, unwritable
from .downloads import ModelJobs, job_text
from .jobs import Job, State
from .runner import Runner


class Fetching(QObject):
    """Downloads what waiting jobs lack, a model at a time, in the queue's order.

    changed: how far it is. failed: the name of a model that somebody waits for, and a sentence.
    got: the name of one that was asked for without a job.
    """

    changed = Signal()
    failed = Signal(str, str)
    got = Signal(str)

    def __init__(
        self,
        database: Database,
        choices: Choices,
        runner: Runner,
        jobs: ModelJobs,
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._database = database
        self._choices = choices
        self._runner = runner
        self._jobs = jobs
        self._asked: set[str] = set()  # by name, without a job
        jobs.changed.connect(lambda name: self.changed.emit())
        jobs.done.connect(self._take)
        jobs.failed.connect(self._fail)
        jobs.stopped.connect(lambda name: self._look())
        database.jobs_changed.connect(self._look)
        runner.changed.connect(self._look)

    def get(self, name: str) -> None:
        """Download a model of the catalog for later, at once."""
        self._asked.add(name)
        self._jobs.download(name)

    def want(self, jobs: Iterable[Job]) -> None:
        """See to the models of new jobs, even where their download failed or was paused before."""
        for job in jobs:
            if self._choices.lacks(job.settings):
                self._jobs.forget(job.settings["model"])
        self._look()
        self.changed.emit()

    def rests(self, job: Job) -> bool:
        """Whether a job waits for a model whose download has failed or was paused."""
        name = str(job.settings.get("model"))
        stopped = self._jobs.is_paused(name) or bool(self._jobs.failure(name))
        return stopped and job.state is State.WAITING and self._choices.lacks(job.settings)

    def again(self, name: str) -> None:
        """Try a download again that failed."""
        self._jobs.again(name)

    def state_of(self, job: Job) -> tuple[str, dict[str, Any]]:
        """What a waiting job waits for, in words, and the `progress` event of its download; ("",
        {}) for a job whose model is here.
        """
        if job.state is not State.WAITING or not self._choices.lacks(job.settings):
            return "", {}
        name = job.settings["model"]
        download = self._jobs.job(name)
        if download is not None and download.progress:
            return job_text(download), download.progress
        if download is not None:
            return "Downloading the model…", {}
        if self._jobs.failure(name):
            return "Waits for its model, which could not be downloaded", {}
        if self._jobs.is_paused(name):
            return "Waits for its model, whose download is paused", {}
        return "Waits for its model", {}

    # --- one after the other ----------------------------------------------------------------------

    def _awaited(self) -> list[str]:
        """The models that jobs wait for, in the queue's order."""
        waiting = [job for job in self._database.jobs() if job.state is State.WAITING]
        lacking = [job.settings for job in waiting if self._choices.lacks(job.settings)]
        return list(dict.fromkeys(settings["model"] for settings in lacking))

    def _look(self) -> None:
        """Begin the next download, unless one is under way or the queue rests."""
        awaited = [] if self._runner.paused else self._awaited()
        if any(self._jobs.job(name) is not None for name in awaited):
            return
        for name in awaited:
            if not self._jobs.failure(name) and not self._jobs.is_paused(name):
                self._jobs.download(name)
                return

    def _take(self, name: str, result: dict[str, Any]) -> None:
        if result["kind"] == "download":
            self._choices.note_loaded(name)
            if name in self._asked:
                self._asked.discard(name)
                self.got.emit(name)
        self._look()

    def _fail(self, name: str, sentence: str) -> None:
        if name in self._asked or name in self._awaited():
            self.failed.emit(name, sentence)
        self._look()


def bytes_to_fetch(card: Card) -> int:
    """What is still to be downloaded of a model."""
    kept = sum(hub.size_on_disk(repo) for repo in {place.repository for place in card.places})
    return max(0, card.download_bytes - kept)


def why_not(choice: Choice) -> str:
    """Why a model that is not here can't be downloaded just so, in a sentence; "" where it can."""
    card = choice.card
    if card.is_in_files:
        return "This release has to be converted first: get it in the Models window."
    if choice.has_terms:
        return "Its licence has conditions to accept first: get it in the Models window."
    folder = hub.hub_cache_folder()
    return unwritable(folder) or lack(bytes_to_fetch(card), folder, free_bytes(folder))
