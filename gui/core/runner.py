"""The runner: takes the queue's jobs one by one, has the worker make them, records the results."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from mlxvid.errors import MediaError
from mlxvid.metal_errors import MEMORY, MetalError
from mlxvid.model.machine import Machine

from .choices import Choices
from .database import Database
from .job_requests import is_tight, lighter, loading_of, making_of, options_of, work_of
from .jobs import Job, State, first_ready
from .loads import Loads
from .messages import shown
from .places import Places
from .preferences import Preferences
from .previews import Previews
from .records import Records
from .statements import NOTHING
from .worker_client import KILLED, WorkerClient

log = logging.getLogger("mlxvid.gui")

# Crashes of the worker in a row after which the queue is paused: the next job would crash it too.
DEATHS_IN_A_ROW = 3
# What is said where a finished clip could not be decoded or saved.
KEPT = "The clip is kept as far as it is made; nothing has to be denoised again."


class Runner(QObject):
    """At most one job runs; `current` is that job, or None. unsaved: the ids of those whose clips
    are made and could not be saved.

    started: a job has begun. progressed: the worker's `progress` event for it. previewed: frames of
    it so far, frames a second. saved: the clip's id, its path. ended: the job as it is now in the
    queue (interrupted, failed, cancelled). changed: a job begins or ends, or the queue is paused or
    resumed. noted: a sentence for the user. halted: the queue is paused, and why. silent: seconds
    without an event.
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
        self._database = database
        self._client = client
        self._choices = choices
        self._preferences = preferences
        self.current: Job | None = None
        self.cancelling = False
        self._wanted = (State.CANCELLED, "")  # of the job that is being stopped
        self._began = 0.0  # on the monotonic clock
        self._deaths = 0
        self._outdated = False  # whether the worker began before a change that it must know
        self._retried: set[int] = set()  # jobs that go on after the GPU failed, in smaller pieces
        self._loads = Loads(client)
        self._records = Records()
        self.unsaved: set[int] = set()
        self._places = Places(preferences)
        self._previews = Previews(self)
        self._previews.ready.connect(self._show_preview)
        client.ready.connect(choices.take_machine)
        client.event_received.connect(self._receive)
        client.died.connect(self._interrupt)
        client.silent.connect(self.silent)
        preferences.silence_changed.connect(client.set_silence)
        database.jobs_changed.connect(self.advance)
        choices.arrived.connect(lambda name: self.advance())
        choices.modelReset.connect(self.advance)

    @property
    def machine(self) -> Machine:
        return self._choices.machine

    @property
    def paused(self) -> bool:
        return self._preferences.paused

    # --- commands ---------------------------------------------------------------------------------

    def pause(self, paused: bool) -> None:
        """Pause or resume the queue; the job that runs goes on.

        It stays paused while what ended can't be written down.
        """
        self._preferences.paused = paused
        if not paused:
            self._deaths = 0
            if not self.write_owed():
                self._halt_unwritten()
        self.changed.emit()
        self.advance()

    def write_owed(self) -> bool:
        """Write down what could not be written before; whether nothing is left of it."""
        return self._records.write_owed()

    def interrupt_running(self, message: str) -> None:
        """Write down that what the last session made was interrupted, now or as soon as it can be;
        `message`: why.
        """
        for job in self._database.jobs():
            if job.state is State.RUNNING:
                interrupt = partial(self._database.set_job_state, job.number, State.INTERRUPTED)
                self._record(job, partial(interrupt, message))

    def advance(self) -> None:
        """Begin the next waiting job whose model is here, if nothing runs."""
        if self.current is None and not self.paused:
            # What could not be written of an ended job: it isn't begun again.
            owed = self._records.owed
            job = first_ready(self._database.jobs(), self._choices.lacks, owed)
            if job is not None:
                self._begin(job)

    def cancel(self) -> None:
        """Cancel the job that runs; it stops within a step."""
        self.stop(State.CANCELLED)

    def stop(self, state: State, message: str = "") -> None:
        """Stop the job that runs, to be in this state, the last one asked for; WAITING: to go on
        from its checkpoint.
        """
        self._wanted = (state, message)
        if self.current is not None and not self.cancelling:
            self.cancelling = True
            for number in (*self._loads.open, self.current.number):
                self._client.cancel(number)
            self.changed.emit()

    def stop_worker(self) -> None:
        """End a worker that no longer answers; its job can then be resumed."""
        self._client.kill("The generator was stopped, since it no longer answered")

    def renew_worker(self) -> None:
        """Have the next job begin with a worker that knows the environment as it is now."""
        self._outdated = True
        if self.current is None:
            self._end_outdated()

    def wait_longer(self) -> None:
        """Wait as long again for a silent worker."""
        self._client.be_patient()

    def prepare(self, name: str) -> None:
        """Load a model before it is needed, if it is on the disk and nothing runs."""
        choice = self._choices.find(name)
        if self.current is None and choice is not None and choice.here and not choice.obstacle:
            self._loads.ask(loading_of({"model": name}))

    def resume(self, number: int) -> None:
        """Let a job that ended early wait again, to go on from its checkpoint, if one was kept."""
        if not self.write_owed():
            self._halt_unwritten()
            return
        job = self._database.job(number)
        if job is not None and job.state not in (State.WAITING, State.RUNNING, State.DONE):
            self._database.set_job_state(number, State.WAITING, resume=True)

    def save_elsewhere(self, number: int, path: Path) -> None:
        """Resume a job, and save its clip as this file."""
        self._places.choose(number, path)
        self.resume(number)

    # --- from begin to end ------------------------------------------------------------------------

    def _begin(self, job: Job) -> None:
        self._began = time.monotonic()
        try:
            output = self._places.file_of(job)
        except MediaError as error:
            self._refuse(job, str(error))
            return
        self._end_outdated()
        self.current = job
        if not self._database.set_job_state(job.number, State.RUNNING):
            # Else it would wait for ever, and be made again and again.
            self.current = None
            self._halt_unwritten()
            self.changed.emit()
            return
        self.cancelling = False
        self.unsaved.discard(job.number)
        self.started.emit(job)
        self.changed.emit()
        self._loads.ask(loading_of(job.settings))
        if self.current is not job:  # the worker could not even be started
            return
        options = options_of(job) | {"previews": self._preferences.previews}
        if job.number in self._retried:
            options["smaller_pieces"] = True
        self._client.generate(job.number, str(output), making_of(job.settings), **options)

    def _refuse(self, job: Job, why: str) -> None:
        """Rest the queue for want of a place; a job that has one of its own fails alone."""
        if self._places.forget(job.number):
            self.current = job
            self.unsaved.add(job.number)
            self._end(State.FAILED, f"{why}: choose another place. {KEPT}")
            return
        self._preferences.paused = True
        self.halted.emit(f"{why}, so the queue is paused: choose another folder, then resume it.")
        self.changed.emit()

    def _end_outdated(self) -> None:
        if self._outdated:
            self._outdated = False
            self._client.retire()
            self._loads.forget()

    def _record(self, job: Job, write: Callable[[], bool]) -> None:
        """Write down what became of a job; where that can't be done the queue rests, and it is
        written when the queue is resumed.
        """
        if not self._records.write(job.number, write):
            self._halt_unwritten()

    def _halt_unwritten(self) -> None:
        self._preferences.paused = True
        self.halted.emit(
            f"The queue can't be written, so it is paused: make room on the disk of "
            f"{self._database.path} and see that it may be written, then resume the queue."
        )

    def _end(self, state: State, message: str = "") -> None:
        """Record that the job that runs has ended early, and begin the next."""
        job = self.current
        assert job is not None
        resume = state is State.WAITING
        self._previews.clear()
        self._database.note_end(job.number, time.monotonic() - self._began)
        self._record(job, partial(self._database.set_job_state, job.number, state, message, resume))
        self.current = None
        self.ended.emit(replace(job, state=state, message=message, resume=resume))
        self.changed.emit()
        self.advance()

    # --- the worker's events ----------------------------------------------------------------------

    def _receive(self, event: dict[str, Any]) -> None:
        number = event.get("id")
        if event["event"] == "note":
            self.noted.emit(shown(event["text"]))
        elif number in self._loads.open:
            self._receive_of_load(event)
        elif self.current is not None and number == self.current.id:
            self._receive_of_job(self.current, event)

    def _receive_of_load(self, event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            if self.current is not None:
                self.progressed.emit(self.current, event)
            return
        model = self._loads.end(event)
        if event["event"] == "loaded":
            self._choices.note_loaded(model)
        elif event["event"] == "error" and self.current is None:
            self.noted.emit(shown(event["message"]))

    def _receive_of_job(self, job: Job, event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            self.progressed.emit(job, event)
        elif event["event"] == "preview":
            self._previews.show(event)
        elif event["event"] == "saved":
            self._keep(job, event)
        # Else another program has ended the generator, which `died` tells.
        elif event["event"] == "cancelled" and self.cancelling:
            state, message = self._wanted
            if state is State.CANCELLED:
                late = "Cancelled; Resume makes the clip, which is denoised already."
                message = late if event.get("latents") else "Cancelled."
            self._end(state, message)
        elif event["event"] == "error":
            self._deaths = 0
            self._fail(job, event)

    def _fail(self, job: Job, event: dict[str, Any]) -> None:
        """End a job with an error: its clip may be made but for decoding or saving it."""
        if not event.get("reason"):
            self._end(State.FAILED, shown(event["message"]))
            return
        if event["kind"] == "MediaError":
            self.unsaved.add(job.number)
        self._end(State.FAILED, f"{shown(event['reason'])} {KEPT}")

    def _keep(self, job: Job, event: dict[str, Any]) -> None:
        self._deaths = 0
        self._previews.clear()
        settings = event["settings"]
        path = Path(event["path"])
        kept: list[int] = []

        def write() -> bool:
            number = self._database.add_clip(
                path,
                settings,
                fps=settings.get("fps", 16.0),
                frames=settings.get("frames", 1),
                width=settings.get("width", 0),
                height=settings.get("height", 0),
                job=job.id,
            )
            kept.append(number)
            return number != NOTHING

        self._database.note_end(job.number, time.monotonic() - self._began)
        self._record(job, write)
        work = work_of(settings, self.machine)
        if work is not None and not job.resume:  # a part of a run doesn't give the time of all
            self._database.add_timing(str(settings.get("model")), *work, event["seconds"])
        self.current = None
        self.saved.emit(kept[0], path)
        self.changed.emit()
        self.advance()

    def _show_preview(self, frames: Any) -> None:
        if self.current is not None:
            self.previewed.emit(frames, float(self.current.settings.get("fps") or 16))

    def _interrupt(self, how: str, failure: MetalError | None) -> None:
        self._loads.forget()
        if self.current is None:
            return
        if how == KILLED and failure is None and is_tight(self.current.settings, self.machine):
            failure = MEMORY
            how = f"{KILLED}, most likely by the system because memory ran out"
        if failure is not None and failure.transient and self.current.number not in self._retried:
            self._retry(self.current, how)
            return
        if failure is not None and failure.memory:
            # It alone was too large: it isn't tried again by itself, and the others can be made.
            self._end(State.FAILED, f"{how}: {lighter(self.current.settings, self.machine)}.")
            return
        self._deaths += 1
        if self._deaths >= DEATHS_IN_A_ROW:
            self._preferences.paused = True
        remedy = "resume this clip to try again" if failure is None else shown(failure.remedy)
        self._end(State.INTERRUPTED, f"{how}: {remedy}.")
        if self._deaths >= DEATHS_IN_A_ROW:
            self.halted.emit(
                f"The generator ended {self._deaths} times in a row, so the queue is paused: lower "
                "the settings, then resume it."
            )

    def _retry(self, job: Job, how: str) -> None:
        """Go on with a job once, from its checkpoint, with a worker that begins anew."""
        self._retried.add(job.number)
        self._previews.clear()
        self.noted.emit(f"{how}: the clip goes on from its last saved step, in smaller pieces.")
        self._record(
            job, partial(self._database.set_job_state, job.number, State.WAITING, "", True)
        )
        self.current = None
        self.changed.emit()
        self.advance()
