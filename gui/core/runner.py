"""The runner takes the queue's jobs one after the other, has the worker make them, and records what
comes of it.
"""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from mlxvid.errors import MlxvidError
from mlxvid.model.machine import Machine

from .choices import Choices
from .database import Database
from .job_requests import lighter, loading_of, making_of, output_for, passes_of, plan_of
from .jobs import Job, State
from .machine import machine_from
from .messages import shown
from .preferences import Preferences
from .previews import Previews
from .worker_client import WorkerClient

log = logging.getLogger("mlxvid.gui")

# After so many deaths of the worker in a row the queue rests: the next job would meet the same end.
DEATHS_IN_A_ROW = 3


class Runner(QObject):
    """At most one job runs. `current` is that job, None while nothing is made.

    started: a job has begun. progressed: the worker's `progress` event for it. previewed: frames of
    it so far, frames a second. saved: the clip's id, its path. ended: the job as it is now in the
    queue (interrupted, failed, cancelled). changed: something begins, ends, pauses or goes on.
    noted: a sentence for the user. halted: the queue rests, and why. silent: seconds without a
    word.
    """

    started = Signal(object)
    progressed = Signal(object, dict)
    previewed = Signal(object, float)
    saved = Signal(int, object)
    ended = Signal(object)
    changed = Signal()
    noted = Signal(str)
    halted = Signal(str)
    silent = Signal(int)

    def __init__(
        self,
        database: Database,
        client: WorkerClient,
        choices: Choices,
        preferences: Preferences,
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._database, self._client, self._choices, self._preferences = (
            database,
            client,
            choices,
            preferences,
        )
        self.current: Job | None = None
        self.cancelling = False
        self._output: Path | None = None
        self._deaths = 0
        self._loads: dict[str, dict[str, Any]] = {}  # what was asked for, by the request's id
        self._numbers = itertools.count(1)
        self._loading: dict[str, Any] | None = (
            None  # what the worker has, or will have before it meets the next job
        )
        self._previews = Previews(self)
        self._previews.ready.connect(self._show_preview)
        client.ready.connect(self._meet)
        client.event.connect(self._hear)
        client.died.connect(self._mourn)
        client.silent.connect(self.silent)
        preferences.silence_changed.connect(client.set_silence)
        database.jobs_changed.connect(self.advance)

    @property
    def machine(self) -> Machine:
        return self._choices.machine

    @property
    def paused(self) -> bool:
        return self._preferences.paused

    # --- what one can ask of it -------------------------------------------------------------------

    def pause(self, paused: bool) -> None:
        """Begin no other job, or go on; the one that runs is not touched."""
        self._preferences.paused = paused
        if not paused:
            self._deaths = 0
        self.changed.emit()
        self.advance()

    def advance(self) -> None:
        """Begin the next job that waits, if nothing runs."""
        if self.current is None and not self.paused:
            job = next((job for job in self._database.jobs() if job.state is State.WAITING), None)
            if job is not None:
                self._begin(job)

    def cancel(self) -> None:
        """Stop the job that runs; it answers within a step."""
        if self.current is not None and not self.cancelling:
            self.cancelling = True
            for number in (*self._loads, self.current.id):
                self._client.cancel(number)
            self.changed.emit()

    def stop_worker(self) -> None:
        """End a worker that no longer answers; its job is then offered for resume."""
        self._client.kill("The generator was stopped, since it no longer answered")

    def wait_longer(self) -> None:
        """Be as patient once more with a worker that is silent."""
        self._client.be_patient()

    def prepare(self, name: str) -> None:
        """Load a model before it is needed, if it is on the disk and nothing runs."""
        choice = self._choices.find(name)
        if self.current is None and choice is not None and choice.here and not choice.obstacle:
            self._load(loading_of({"model": name}))

    def resume(self, number: int) -> None:
        """Let a job that ended early wait again; it goes on where it was, if a checkpoint was kept."""
        job = self._database.job(number)
        if job is not None and job.state not in (State.WAITING, State.RUNNING, State.DONE):
            self._database.set_job_state(number, State.WAITING, resume=True)

    # --- a job's way ------------------------------------------------------------------------------

    def _begin(self, job: Job) -> None:
        folder = self._preferences.clips_folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._preferences.paused = True
            self.halted.emit(
                f"{folder} can't be made ({error.strerror}): choose another folder for clips, then let the queue go on."
            )
            self.changed.emit()
            return
        self.current, self.cancelling = job, False
        self._output = output_for(job.settings, folder)
        self._database.set_job_state(job.id, State.RUNNING)
        self.started.emit(job)
        self.changed.emit()
        self._load(loading_of(job.settings))
        if self.current is not job:  # the worker could not even be started
            return
        options = {"resume": True} if job.resume else {}
        options |= {"force": True} if job.settings.get("force") else {}
        self._client.generate(job.id, str(self._output), making_of(job.settings), **options)

    def _load(self, loading: dict[str, Any]) -> None:
        """Ask for a model, unless the worker has it already or was asked before."""
        if loading != self._loading or not self._client.alive:
            number = f"load-{next(self._numbers)}"
            self._loading = self._loads[number] = loading
            self._client.load(number, loading)

    def _end(self, state: State, message: str = "") -> None:
        """The job that runs has ended early."""
        job = self.current
        self._previews.clear()
        self._database.set_job_state(job.id, state, message)
        self.current = None
        self.ended.emit(self._database.job(job.id) or job)
        self.changed.emit()
        self.advance()

    # --- what the worker says ---------------------------------------------------------------------

    def _meet(self, event: dict[str, Any]) -> None:
        machine = machine_from(event.get("machine"))
        if machine is not None:
            self._choices.set_machine(machine)

    def _hear(self, event: dict[str, Any]) -> None:
        name, number = event["event"], event.get("id")
        if name == "note":
            self.noted.emit(shown(event["text"]))
        elif number in self._loads:
            self._hear_of_load(event)
        elif self.current is not None and number == self.current.id:
            self._hear_of_job(event)

    def _hear_of_load(self, event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            if self.current is not None:
                self.progressed.emit(self.current, event)
            return
        loading = self._loads.pop(event["id"])
        if event["event"] == "loaded":
            self._choices.note_loaded(loading["model"])
            return
        if self._loading == loading:
            self._loading = None
        if event["event"] == "error" and self.current is None:
            self.noted.emit(shown(event["message"]))

    def _hear_of_job(self, event: dict[str, Any]) -> None:
        job = self.current
        if event["event"] == "progress":
            self.progressed.emit(job, event)
        elif event["event"] == "preview":
            self._previews.show(event)
        elif event["event"] == "saved":
            self._keep(job, event)
        elif event["event"] == "cancelled":
            self._end(State.CANCELLED, "Cancelled.")
        elif event["event"] == "error":
            self._deaths = 0
            self._end(State.FAILED, shown(event["message"]))

    def _keep(self, job: Job, event: dict[str, Any]) -> None:
        self._deaths = 0
        self._previews.clear()
        settings = event["settings"]
        sizes = (
            settings.get("fps", 16.0),
            settings.get("frames", 1),
            settings.get("width", 0),
            settings.get("height", 0),
        )
        clip = self._database.add_clip(event["path"], settings, *sizes, job=job.id)
        self._learn_time(settings, event["seconds"], job.resume)
        self._database.set_job_state(job.id, State.DONE)
        self.current = None
        self.saved.emit(clip, Path(event["path"]))
        self.changed.emit()
        self.advance()

    def _learn_time(self, settings: dict[str, Any], seconds: float, resumed: bool) -> None:
        try:
            tokens = plan_of(settings, self.machine).tokens
            passes = passes_of(settings)
        except MlxvidError:  # its folder is gone meanwhile
            return
        if not resumed:  # a part of the work tells nothing of the whole
            self._database.add_timing(str(settings.get("model")), tokens, passes, seconds)

    def _show_preview(self, frames: Any) -> None:
        if self.current is not None:
            self.previewed.emit(frames, float(self.current.settings.get("fps") or 16))

    def _mourn(self, how: str, memory: bool) -> None:
        self._loading = None
        self._loads.clear()
        if self.current is None:
            return
        self._deaths += 1
        if self._deaths >= DEATHS_IN_A_ROW:
            self._preferences.paused = True
        remedy = (
            lighter(self.current.settings, self.machine)
            if memory
            else "resume this clip to try again"
        )
        self._end(State.INTERRUPTED, f"{how}: {remedy}.")
        if self._deaths >= DEATHS_IN_A_ROW:
            self.halted.emit(
                f"The generator ended {self._deaths} times in a row, so the queue rests: lower the settings, then let it go on."
            )
