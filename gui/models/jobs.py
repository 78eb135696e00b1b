"""Downloads, checks and imports, each as a process of its own that tells of itself in JSON lines;
stopped, it leaves what it had.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from mlxvid.gui.core.commands import tool_command
from mlxvid.gui.core.progress_text import duration
from mlxvid.gui.core.protocol import LineParser

# A process that is asked to stop gets so many milliseconds before it is killed; what it has
# downloaded stays either way.
PATIENCE = 3000
VERBS = {"download": "Downloading", "verify": "Checking", "convert": "Importing"}


@dataclass
class Job:
    """One process at work for a model. `progress` is the last progress event, `result` the event
    that ended it well.
    """

    kind: str
    process: QProcess
    parser: LineParser = field(default_factory=LineParser)
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stopped: bool = False


class ModelJobs(QObject):
    """At most one job for each name. changed: it began, got further, or ended. done: its name and
    result. failed: and a sentence. stopped: because the user wanted so. noted: a line for the
    log."""

    changed = Signal(str)
    done = Signal(str, dict)
    failed = Signal(str, str)
    stopped = Signal(str)
    noted = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._jobs: dict[str, Job] = {}

    def download(self, name: str, repo: str, revision: str | None) -> None:
        self._start(
            name,
            "download",
            "mlxvid.hub",
            ["download", repo, *(["--revision", revision] if revision else [])],
        )

    def verify(self, name: str, repo: str, revision: str | None) -> None:
        self._start(
            name,
            "verify",
            "mlxvid.hub",
            ["verify", repo, *(["--revision", revision] if revision else [])],
        )

    def convert(self, name: str, arguments: Sequence[str]) -> None:
        """Import a checkpoint: `arguments` are those of python -m mlxvid.convert."""
        self._start(name, "convert", "mlxvid.convert", arguments)

    def job(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def progress(self, name: str) -> dict[str, Any] | None:
        """The last progress event of a model's job, empty before the first; None where there is no
        job.
        """
        job = self._jobs.get(name)
        return None if job is None else job.progress

    def stop(self, name: str) -> None:
        """Let a job end; a later one goes on where it was."""
        job = self._jobs.get(name)
        if job is not None and not job.stopped:
            job.stopped = True
            job.process.terminate()
            QTimer.singleShot(PATIENCE, job.process, job.process.kill)
            self.changed.emit(name)

    def shutdown(self) -> None:
        """End all jobs, for good; no signal comes of it."""
        jobs, self._jobs = list(self._jobs.values()), {}
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
        self._jobs[name] = Job(kind, process)
        process.readyReadStandardOutput.connect(lambda: self._read(name))
        process.finished.connect(lambda code, status: self._finish(name, code, status))
        process.errorOccurred.connect(lambda error: self._not_started(name, error))
        command = [*tool_command(module), *arguments, "--progress", "json"]
        process.start(command[0], command[1:])
        self.changed.emit(name)

    def _read(self, name: str) -> None:
        job = self._jobs.get(name)
        if job is None:
            return
        events, _ = job.parser.feed(bytes(job.process.readAllStandardOutput().data()))
        for event in events:
            if event["event"] == "progress":
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
        words = [
            line
            for line in bytes(job.process.readAllStandardError().data())
            .decode("utf-8", "replace")
            .splitlines()
            if line.strip()
        ]
        for line in words:
            self.noted.emit(line)
        job.process.deleteLater()
        self.changed.emit(name)
        if job.stopped:
            self.stopped.emit(name)
        elif status == QProcess.ExitStatus.CrashExit:
            why = (
                "most likely because memory ran out"
                if code in (signal.SIGKILL, signal.SIGABRT)
                else f"signal {code}"
            )
            self.failed.emit(
                name,
                f"{VERBS[job.kind]} ended unexpectedly ({why}); try it again: it goes on where it was.",
            )
        elif code != 0:
            self.failed.emit(
                name,
                words[-1]
                if words
                else f"{VERBS[job.kind]} ended unexpectedly (code {code}); try it again.",
            )
        else:
            self.done.emit(name, {**job.result, "kind": job.kind})

    def _not_started(self, name: str, error: QProcess.ProcessError) -> None:
        if (
            error == QProcess.ProcessError.FailedToStart
            and (job := self._jobs.pop(name, None)) is not None
        ):
            self.changed.emit(name)
            self.failed.emit(
                name,
                f"The command could not be started ({job.process.errorString()}); install mlxvid again.",
            )


def job_text(job: Job) -> str:
    """How a job stands, as a line: "Downloading, 3.2 of 28.9 GB · 12 min to go"."""
    if job.stopped:
        return "Stopping…"
    event = job.progress
    if not event:
        return f"{VERBS[job.kind]}…"
    unit, scale = ("GB", 1000) if event["total"] >= 1000 else ("MB", 1)
    done, total = (
        f"{event[key] / scale:.1f}" if scale > 1 else str(event[key]) for key in ("step", "total")
    )
    ahead = f" · {duration(event['remaining'])} to go" if event["remaining"] else ""
    verb = VERBS.get(event["stage"], VERBS[job.kind])
    return f"{verb}, {done} of {total} {unit}{ahead}"
