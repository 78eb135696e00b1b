"""Downloads, verifications and imports of models, each in a process of its own.

The process reports in JSON lines; stopped, it keeps what it has. The window has one ModelJobs, so
that a model is downloaded once, whoever asks for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from mlxvid.metal_errors import last_words

from .commands import tool_command
from .messages import shown
from .progress_text import duration
from .protocol import LineParser

# Milliseconds that a process has to stop before it is killed; what it has downloaded stays either
# way.
PATIENCE = 3000
# Seconds without a megabyte after which a download says so, and milliseconds between two looks.
STALLED = 8.0
LOOK = 2000
NO_ANSWER = "No answer, trying again"
# Lines of what a command printed that are shown where it failed without a sentence.
LAST_LINES = 12
# A kind of job, the command's module, and its arguments.
Command = tuple[str, str, Sequence[str]]
VERBS = {"download": "Downloading", "verify": "Verifying", "convert": "Importing"}


@dataclass
class ModelJob:
    """One process at work for a model.

    kind: a key of VERBS. progress: the last progress event. result: the event that ended it well.
    moved: when it last came on, on the monotonic clock.
    """

    kind: str
    process: QProcess
    parser: LineParser = field(default_factory=LineParser)
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stopped: bool = False
    moved: float = field(default_factory=time.monotonic)

    @property
    def stalled(self) -> bool:
        """Whether nothing has come for a while; the command tries some times again."""
        return self.kind == "download" and time.monotonic() - self.moved > STALLED


class ModelJobs(QObject):
    """At most one job for each model name.

    changed: a job started, made progress or ended. done: its name and result. failed: its name and
    a sentence. stopped: the user wanted so. noted: a line for the log.
    """

    changed = Signal(str)
    done = Signal(str, dict)
    failed = Signal(str, str)
    stopped = Signal(str)
    noted = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._jobs: dict[str, ModelJob] = {}
        self._commands: dict[str, Command] = {}  # the last of each model
        self._failures: dict[str, str] = {}
        self._last_words: dict[str, list[str]] = {}  # of commands that failed
        self._paused: set[str] = set()
        self._clock = QTimer(self, interval=LOOK)
        self._clock.timeout.connect(self._look)
        self._clock.start()

    def download(self, name: str, repo: str | None = None, revision: str | None = None) -> None:
        """Download a repository of the hub, or the rest of it; the catalog's model where none is
        given.
        """
        self._start(name, "download", "mlxvid.hub", ["download", repo or name, *_at(revision)])

    def verify(self, name: str, repo: str | None = None, revision: str | None = None) -> None:
        """Compare a repository's files with their checksums, and remove damaged ones; those of the
        catalog's model where no repository is given.
        """
        self._start(name, "verify", "mlxvid.hub", ["verify", repo or name, *_at(revision)])

    def convert(self, name: str, arguments: Sequence[str]) -> None:
        """Import a checkpoint; `arguments` are those of python -m mlxvid.convert."""
        self._start(name, "convert", "mlxvid.convert", arguments)

    def job(self, name: str) -> ModelJob | None:
        """The job of a model."""
        return self._jobs.get(name)

    def again(self, name: str) -> None:
        """Do once more what was last begun for a model; it goes on from what is kept."""
        if name in self._commands:
            self._start(name, *self._commands[name])

    def failure(self, name: str) -> str:
        """Why the last job of a model failed; "" where it did not."""
        return self._failures.get(name, "")

    def last_words(self, name: str) -> list[str]:
        """The last lines that a command printed which failed; [] where it said one sentence."""
        return self._last_words.get(name, []) if name in self._failures else []

    def forget(self, name: str) -> None:
        """Forget how the last job of a model ended, since the model was removed."""
        self._failures.pop(name, None)
        self._paused.discard(name)

    def is_paused(self, name: str) -> bool:
        """Whether the user stopped the last job of a model."""
        return name in self._paused

    @property
    def names(self) -> list[str]:
        """The models that jobs are at work for, the first begun first."""
        return list(self._jobs)

    @property
    def busy(self) -> bool:
        """Whether any job is at work."""
        return bool(self._jobs)

    def stop(self, name: str) -> None:
        """Ask a job to end; a later one resumes what it did."""
        job = self._jobs.get(name)
        if job is not None and not job.stopped:
            job.stopped = True
            job.process.terminate()
            QTimer.singleShot(PATIENCE, job.process, job.process.kill)
            self.changed.emit(name)

    def shutdown(self) -> None:
        """End all jobs, for good; they emit no more signals."""
        jobs = list(self._jobs.values())
        self._jobs = {}
        for job in jobs:
            job.process.blockSignals(True)
            job.process.terminate()
        for job in jobs:
            if not job.process.waitForFinished(PATIENCE):
                job.process.kill()
                job.process.waitForFinished(PATIENCE)

    # --- the process ------------------------------------------------------------------------------

    def _start(self, name: str, kind: str, module: str, arguments: Sequence[str]) -> None:
        if name in self._jobs:
            return
        process = QProcess(self)
        self._jobs[name] = ModelJob(kind, process)
        self._commands[name] = (kind, module, arguments)
        self._failures.pop(name, None)
        self._paused.discard(name)
        process.readyReadStandardOutput.connect(lambda: self._read(name))
        process.finished.connect(lambda code, status: self._finish(name, code, status))
        process.errorOccurred.connect(lambda error: self._not_started(name, error))
        command = [*tool_command(module), *arguments, "--progress", "json"]
        process.start(command[0], command[1:])
        self.changed.emit(name)

    def _look(self) -> None:
        """Tell of downloads that have come to a halt: their commands say nothing then."""
        for name in [name for name, job in self._jobs.items() if job.stalled]:
            self.changed.emit(name)

    def _read(self, name: str) -> None:
        job = self._jobs.get(name)
        if job is None:
            return
        events, _ = job.parser.feed(bytes(job.process.readAllStandardOutput().data()))
        for event in events:
            if event["event"] == "progress":
                if event["step"] != job.progress.get("step"):
                    job.moved = time.monotonic()
                job.progress = event
            elif event["event"] == "note":
                job.notes.append(event["text"])
                self.noted.emit(event["text"])
            else:
                job.result = event
        if events:
            self.changed.emit(name)

    def _finish(self, name: str, code: int, status: QProcess.ExitStatus) -> None:
        self._read(name)
        job = self._jobs.pop(name, None)
        if job is None:
            return
        printed = bytes(job.process.readAllStandardError().data()).decode("utf-8", "replace")
        lines = [line for line in printed.splitlines() if line.strip()]
        for line in lines:
            self.noted.emit(line)
        job.process.deleteLater()
        # A sentence that the command itself said is all that there is to read.
        self._last_words[name] = [] if _said(job) else lines[-LAST_LINES:]
        if job.stopped:
            self._paused.add(name)
            self.changed.emit(name)
            self.stopped.emit(name)
        elif status == QProcess.ExitStatus.CrashExit:
            failure = last_words(printed)
            self._fail(name, _failure(job, failure.happened if failure else f"signal {code}"))
        elif code != 0:
            self._fail(name, _said(job) or _failure(job, lines[-1] if lines else f"code {code}"))
        else:
            self.changed.emit(name)
            self.done.emit(name, {**job.result, "kind": job.kind})

    def _fail(self, name: str, sentence: str) -> None:
        self._failures[name] = sentence
        self.changed.emit(name)
        self.failed.emit(name, sentence)

    def _not_started(self, name: str, error: QProcess.ProcessError) -> None:
        if error != QProcess.ProcessError.FailedToStart:
            return
        job = self._jobs.pop(name, None)
        if job is not None:
            why = job.process.errorString()
            self._fail(name, f"The command could not be started ({why}); install mlxvid again.")


def _at(revision: str | None) -> list[str]:
    """The arguments that choose a revision of a repository."""
    return ["--revision", revision] if revision else []


def _said(job: ModelJob) -> str:
    """The sentence with which a command says why it failed; "" where it said none."""
    sentence = job.result.get("sentence") if job.result.get("event") == "error" else None
    return shown(sentence) if isinstance(sentence, str) else ""


def _failure(job: ModelJob, why: str) -> str:
    """The message for a job whose process gave none."""
    return f"{VERBS[job.kind]} ended unexpectedly ({why}); try again to resume it."


def job_text(job: ModelJob) -> str:
    """The progress of a job as a line: Downloading, 3.2 of 28.9 GB · 12 min to go."""
    if job.stopped:
        return "Stopping…"
    event = job.progress
    if not event:
        return NO_ANSWER if job.stalled else f"{VERBS[job.kind]}…"
    verb = VERBS.get(event["stage"], VERBS[job.kind])
    if event["total"] >= 1000:
        amount = f"{event['step'] / 1000:.1f} of {event['total'] / 1000:.1f} GB"
    else:
        amount = f"{event['step']} of {event['total']} MB"
    if job.stalled:
        return f"{NO_ANSWER} · {amount}"
    to_go = f" · {duration(event['remaining'])} to go" if event["remaining"] else ""
    return f"{verb}, {amount}{to_go}"
