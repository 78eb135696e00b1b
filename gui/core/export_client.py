"""Exporting in a process of its own, so that encoding takes nothing from the window."""

from __future__ import annotations

import json
import logging
import signal
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QTimer, Signal

from mlxvid.media.targets import remove_leftovers

from .commands import tool_command
from .copies import Copy
from .machine import memory_kills
from .protocol import LineParser
from .recipes import Recipe, packed
from .sheet_clip import SheetClip, packed_sheet
from .tasks import Task, Tasks

log = logging.getLogger("mlxvid.gui")

# Milliseconds to stop in before the process is killed: some formats write all their frames at once.
PATIENCE = 1000


def copy_request(copy: Copy, recipe: Recipe) -> dict[str, Any]:
    """What has a clip copied by a recipe."""
    source = {**asdict(copy.source), "path": str(copy.source.path)}
    return {"op": "copy", "target": str(copy.target), "source": source, "recipe": packed(recipe)}


def sheet_request(sheet: SheetClip, target: Path) -> dict[str, Any]:
    """What has a sheet saved as a clip."""
    return {"op": "sheet", "target": str(target), **packed_sheet(sheet)}


class ExportClient(QObject):
    """One export at a time; the first one starts the process, which stays until :meth:`rest`.

    stepped: how much is done, and of how much. Each request ends with one of: exported; failed,
    with one sentence; cancelled. Then nothing half-written is left.
    """

    stepped = Signal(int, int)
    exported = Signal()
    failed = Signal(str)
    cancelled = Signal()

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._tasks = Tasks(1, self)
        self._process: QProcess | None = None
        self._target: Path | None = None  # of the request that is at work
        self._stopping = False

    @property
    def pid(self) -> int:
        """The process's id, 0 where there is none."""
        return self._process.processId() if self._process else 0

    def send(self, request: dict[str, Any]) -> None:
        """Begin an export."""
        self._target = Path(request["target"])
        if self._process is None or self._stopping:
            self._start()
        if self._process is not None:  # it may have failed to start at once
            self._process.write(json.dumps(request).encode() + b"\n")

    def cancel(self) -> None:
        """Stop the export; what was at the target stays as it was."""
        if self._process is not None and not self._stopping:
            self._stopping = True
            self._process.closeWriteChannel()
            QTimer.singleShot(PATIENCE, self._process, self._process.kill)

    def rest(self) -> None:
        """Let the process end: there is nothing more to export for now."""
        process = self._forget()
        if process is not None:
            process.setParent(QCoreApplication.instance())  # it may outlive this object
            process.finished.connect(process.deleteLater)
            process.closeWriteChannel()

    def shutdown(self) -> None:
        """Stop for good. No signal comes of it."""
        self.blockSignals(True)
        process = self._forget()
        if process is None:
            return
        process.closeWriteChannel()
        if not process.waitForFinished(PATIENCE):
            process.kill()
            process.waitForFinished(PATIENCE)
            if self._target is not None:
                remove_leftovers(self._target)

    # --- the process ------------------------------------------------------------------------------

    def _start(self) -> None:
        process = self._process = QProcess(self)
        self._stopping = False
        self._parser = LineParser()
        self._last_words: deque[str] = deque(maxlen=1)
        self._kills = memory_kills()
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._read_errors)
        process.finished.connect(self._finish)
        process.errorOccurred.connect(self._not_started)
        command = tool_command("mlxvid.gui.core.export_process")
        process.start(command[0], command[1:])

    def _forget(self) -> QProcess | None:
        """Hear no more of the process; returns it."""
        process = self._process
        self._process = None
        if process is not None:
            for signal_ in (
                process.readyReadStandardOutput,
                process.readyReadStandardError,
                process.finished,
                process.errorOccurred,
            ):
                signal_.disconnect()
        return process

    def _read(self) -> None:
        if self._process is not None:
            self._take_events(self._process)

    def _take_events(self, process: QProcess) -> None:
        events, _ = self._parser.feed(bytes(process.readAllStandardOutput().data()))
        for event in events:
            if event["event"] == "exporting":
                self.stepped.emit(event["done"], event["count"])
                continue
            self._target = None
            if self._stopping:
                self.rest()
            if event["event"] == "exported":
                self.exported.emit()
            elif event["event"] == "failed":
                self.failed.emit(event["message"])
            else:
                self.cancelled.emit()

    def _read_errors(self) -> None:
        if self._process is not None:
            self._log(self._process)

    def _log(self, process: QProcess) -> None:
        printed = bytes(process.readAllStandardError().data()).decode("utf-8", "replace")
        for line in filter(str.strip, printed.splitlines()):
            self._last_words.append(line)
            log.info("export: %s", line)

    def _finish(self, code: int, status: QProcess.ExitStatus) -> None:
        process = self._forget()
        assert process is not None  # it is its signal
        self._log(process)
        self._take_events(process)
        process.deleteLater()
        if self._target is None or self._process is not None:
            return  # it had answered
        if status == QProcess.ExitStatus.CrashExit:
            why = f"signal {code}"
            if code == signal.SIGKILL and memory_kills() > self._kills:
                why = "for want of memory"
        else:
            why = self._last_words[-1] if self._last_words else f"code {code}"
        name = self._target.name
        self._end = f"The export of {name} ended unexpectedly ({why}): export it once more."
        target = self._target
        self._tasks.run(lambda task: remove_leftovers(target), ended=self._tell_end)

    def _tell_end(self, task: Task) -> None:
        """Tell how the process died, now that nothing of it is left."""
        self._target = None
        if self._stopping:
            self.cancelled.emit()
        else:
            log.error("%s", self._end)
            self.failed.emit(self._end)

    def _not_started(self, error: QProcess.ProcessError) -> None:
        if error != QProcess.ProcessError.FailedToStart:
            return
        process = self._forget()
        assert process is not None  # it is its signal
        process.deleteLater()
        self._target = None
        why = process.errorString()
        self.failed.emit(f"The export could not be started ({why}): install mlxvid again.")
