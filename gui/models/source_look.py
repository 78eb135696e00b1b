"""What a checkpoint is that the user chose, asked of the converter in a process of its own."""

from __future__ import annotations

import os

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from mlxvid.gui.core.commands import tool_command
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.protocol import LineParser

# Milliseconds without typing after which it is asked.
_REST = 400


class SourceLook(QObject):
    """Looks at one source at a time, the last that it was given.

    begun: at a file or folder on this machine. recognised: its title. refused: why it is no model.
    """

    begun = Signal()
    recognised = Signal(str)
    refused = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._process: QProcess | None = None
        self._source = ""
        self._timer = QTimer(self, singleShot=True, interval=_REST)
        self._timer.timeout.connect(self._start)

    def look_at(self, source: str) -> None:
        """Look at another source, in a moment."""
        self.stop()
        self._source = source
        self._timer.start()

    def stop(self) -> None:
        """Forget the source."""
        self._timer.stop()
        if self._process is not None:
            self._process.blockSignals(True)
            self._process.kill()
            self._process.waitForFinished()
            self._process.deleteLater()
            self._process = None

    def _start(self) -> None:
        source = os.path.expanduser(self._source)
        if not source or not os.path.exists(source):
            return
        self.begun.emit()
        process = self._process = QProcess(self)
        process.finished.connect(lambda *_: self._finish(process))
        command = tool_command("mlxvid.convert")
        process.start(command[0], [*command[1:], source, "--look", "--progress", "json"])

    def _finish(self, process: QProcess) -> None:
        events, _ = LineParser().feed(bytes(process.readAllStandardOutput().data()))
        for event in events:
            if event["event"] == "recognised":
                self.recognised.emit(str(event["title"]))
            elif event["event"] == "error":
                self.refused.emit(shown(str(event.get("sentence") or event["message"])))
