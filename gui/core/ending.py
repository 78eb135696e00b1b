"""Ctrl-C in the terminal, a logout, a shutdown: the app is asked to end, and ends in good order."""

from __future__ import annotations

import signal
import socket

from PySide6.QtCore import QObject, QSocketNotifier, Signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndRequests(QObject):
    """asked: the process has received a signal to end; once more ends it at once.

    Qt's event loop keeps Python's own handlers from running, so that a socket wakes it.
    """

    asked = Signal()

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.setblocking(False)
        self._notifier = QSocketNotifier(self._ear.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._hear)
        signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)

    def _hear(self) -> None:
        self._ear.recv(64)
        self.close()
        self.asked.emit()

    def close(self) -> None:
        """Listen no more; the signals do what they usually do."""
        if self._notifier.isEnabled():
            self._notifier.setEnabled(False)
            signal.set_wakeup_fd(-1)
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            self._ear.close()
            self._mouth.close()
