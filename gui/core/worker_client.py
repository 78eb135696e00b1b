"""The worker process: requests go out as JSON lines, events come back as signals."""

from __future__ import annotations

import json
import logging
import signal
from collections import deque
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from mlxvid.metal_errors import MEMORY, MetalError, last_words

from .commands import worker_command
from .machine import memory_kills
from .protocol import LineParser

log = logging.getLogger("mlxvid.gui")

# Milliseconds after which a worker that was asked to end is killed.
PATIENCE = 2000
# Seconds without an event of a job that are reported. One step of a large model may take many
# minutes.
SILENCE = 15 * 60
# Characters of its last line that are shown where nothing else explains a crash.
SHOWN = 160
# Lines of its standard error that are kept to explain a crash.
LAST_WORDS = 50

# What commands add to the number of a signal that they have ended with.
EXIT_SIGNAL = 128

_ENDS = ("loaded", "saved", "cancelled", "error")
KILLED = "The generator was killed"
_DEATHS: dict[int, str] = {
    signal.SIGKILL: KILLED,
    signal.SIGTERM: "The generator was ended by another program",
}


class WorkerClient(QObject):
    """One worker at a time: the first request starts it, and the next one after it has ended.

    ready: the event of that name. event_received: every other event. died: how, as the beginning of
    a sentence, and by what failure of the GPU or the memory, or None. silent: seconds without an
    event of a job.
    """

    ready = Signal(dict)
    event_received = Signal(dict)
    died = Signal(str, object)
    silent = Signal(int)
    stderr_line = Signal(str)
    strange_line = Signal(str)

    def __init__(
        self,
        command: Sequence[str] | None = None,
        silence: float = SILENCE,
        parent: QObject | None = None,
    ):
        """`command` stands in for :func:`worker_command`; `silence` in seconds."""
        super().__init__(parent)
        self._command = list(command or worker_command())
        self._process: QProcess | None = None
        self._open: set[Any] = set()  # ids of the jobs that have not ended
        self._reason: str | None = None  # why we ended it, if we did
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._silence = QTimer(self, singleShot=True)
        self._silence.timeout.connect(self._report_silence)
        self.set_silence(silence)

    @property
    def alive(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        """The worker's process id, 0 where there is none."""
        return self._process.processId() if self._process else 0

    def set_silence(self, seconds: float) -> None:
        """Report this many seconds without an event of a job."""
        self._silence.setInterval(int(seconds * 1000))

    def load(self, number: str, loading: dict[str, Any]) -> None:
        """Have a model loaded; `loading` is what mlxvid.load takes."""
        self._send({"op": "load", "id": number, **loading})

    def generate(self, number: int, output: str, settings: dict[str, Any], **options: Any) -> None:
        """Make a clip; `options`: previews, force, resume, smaller_pieces, digests."""
        self._send(
            {
                "op": "generate",
                "id": number,
                "output": output,
                "settings": settings,
                **options,
            }
        )

    def cancel(self, number: Any) -> None:
        """Stop a job that waits or runs; its "cancelled" comes within a step."""
        if self.alive:
            self._write({"op": "cancel", "id": number})

    def kill(self, reason: str) -> None:
        """End a worker that no longer answers; `reason` is what `died` then says."""
        if self._process is not None:
            self._reason = reason
            self._process.kill()

    def be_patient(self) -> None:
        """Count the silence from now on."""
        if self._open:
            self._silence.start()

    def retire(self) -> None:
        """End the worker without waiting for it; the next request starts another one. No signal
        comes of it.
        """
        process = self._process
        self._process = None
        self._silence.stop()
        if process is None:
            return
        for signal_ in (
            process.readyReadStandardOutput,
            process.readyReadStandardError,
            process.errorOccurred,
            process.finished,
        ):
            signal_.disconnect()
        process.finished.connect(process.deleteLater)
        process.terminate()
        QTimer.singleShot(PATIENCE, process, process.kill)

    def shutdown(self) -> None:
        """End the worker for good, politely first. No signal comes of it."""
        process = self._process
        self._process = None
        self._silence.stop()
        if process is None:
            return
        process.blockSignals(True)
        process.terminate()
        if not process.waitForFinished(PATIENCE):
            process.kill()
            process.waitForFinished(PATIENCE)

    # --- the process ------------------------------------------------------------------------------

    def _start(self) -> None:
        process = QProcess(self)
        self._process = process
        self._parser = LineParser()
        self._errors = bytearray()
        self._open.clear()
        self._last_words.clear()
        self._kills = memory_kills()
        self._reason = None
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._read_errors)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._failed)
        process.start(self._command[0], self._command[1:])

    def _send(self, request: dict[str, Any]) -> None:
        if self._process is None:
            self._start()
        if self._process is not None:  # it may have failed to start at once
            self._open.add(request["id"])
            self._write(request)
            self._silence.start()

    def _write(self, request: dict[str, Any]) -> None:
        if self._process is not None:
            self._process.write(json.dumps(request).encode() + b"\n")

    def _read(self) -> None:
        if self._process is None:
            return
        events, strange = self._parser.feed(bytes(self._process.readAllStandardOutput().data()))
        for line in strange:
            log.warning("The generator wrote a line that is no event: %s", line)
            self.strange_line.emit(line)
        for event in events:
            self._receive(event)

    def _receive(self, event: dict[str, Any]) -> None:
        if event["event"] == "ready":
            self.ready.emit(event)
            return
        if event["event"] in _ENDS:
            self._open.discard(event.get("id"))
        if self._open:
            self._silence.start()
        else:
            self._silence.stop()
        self.event_received.emit(event)

    def _read_errors(self) -> None:
        if self._process is None:
            return
        self._errors += self._process.readAllStandardError().data()
        *lines, rest = self._errors.split(b"\n")
        self._errors = bytearray(rest[-4096:])
        for line in lines:
            self._log_line(line.decode("utf-8", "replace").rstrip())

    def _log_line(self, line: str) -> None:
        if line:
            self._last_words.append(line)
            log.info("generator: %s", line)
            self.stderr_line.emit(line)

    def _failed(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._bury(f"The generator could not be started ({self._process.errorString()})")

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self._read_errors()
        self._log_line(
            self._errors.decode("utf-8", "replace").rstrip()
        )  # a last line without an end
        if status == QProcess.ExitStatus.CrashExit:
            self._bury_crashed(code)
        elif code - EXIT_SIGNAL in _DEATHS:  # it has taken the signal, and ended in good order
            self._bury(_DEATHS[signal.Signals(code - EXIT_SIGNAL)])
        else:
            last = f": {self._last_words[-1]}" if self._last_words else ""
            self._bury(f"The generator ended by itself (code {code}){last}", self._failure())

    def _bury_crashed(self, number: int) -> None:
        """A signal ended it. One that is sent from outside has nothing to do with its words."""
        if number == signal.SIGKILL:
            self._bury(KILLED, MEMORY if memory_kills() > self._kills else None)
        elif number in _DEATHS:
            self._bury(_DEATHS[number])
        else:
            last = f": {self._last_words[-1][:SHOWN]}" if self._last_words else ""
            self._bury(f"The generator crashed (signal {number}{last})", self._failure())

    def _failure(self) -> MetalError | None:
        return last_words("\n".join(self._last_words))

    def _bury(self, how: str, failure: MetalError | None = None) -> None:
        process = self._process
        self._process = None
        self._silence.stop()
        self._open.clear()
        if process is not None:
            process.deleteLater()
        log.error("%s", self._reason or how)
        if self._reason is not None:
            self.died.emit(self._reason, None)
        elif failure is None:
            self.died.emit(how, None)
        else:
            self.died.emit(f"{failure.happened}, and the generator ended", failure)

    def _report_silence(self) -> None:
        self.silent.emit(self._silence.interval() // 1000)
