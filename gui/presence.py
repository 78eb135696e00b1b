"""What is seen of the app outside its window: its title, the Dock's badge, a notification."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMainWindow

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.progress_text import share
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.queue.tally import Tally
from mlxvid.macos import notify

# Seconds that a run takes at least for its end to be told to someone in another app.
LONG = 60.0
_NAME = "mlxvid"


class Presence(QObject):
    """Follows the runner. A run is all that it makes one after the other; what that came to is
    what the tally of the queue has by then.

    The badge is the number of clips that are still to be made; the title has the share of the one
    that is made. Qt sets the badge where the system has one.
    """

    def __init__(
        self,
        window: QMainWindow,
        runner: Runner,
        database: Database,
        tally: Tally,
        preferences: Preferences,
    ):
        super().__init__(window)
        self._window = window
        self._runner = runner
        self._database = database
        self._tally = tally
        self._preferences = preferences
        self._began = 0.0
        self._running = False
        self._last = ""  # what was said of the last one that failed, or why the queue rests
        window.setWindowTitle(_NAME)
        runner.started.connect(self._note_start)
        runner.progressed.connect(self._show_progress)
        runner.ended.connect(self._note_end)
        runner.halted.connect(self._note_halt)
        # The runner says that a job has ended, and then begins the next.
        self._settled = QTimer(self, singleShot=True, interval=0)
        self._settled.timeout.connect(self._follow)
        runner.changed.connect(self._settled.start)
        database.jobs_changed.connect(self._settled.start)

    def _note_start(self, job: Job) -> None:
        if not self._running:
            self._running = True
            self._began = time.monotonic()
            self._last = ""

    def _show_progress(self, job: Job, event: dict[str, Any]) -> None:
        self._window.setWindowTitle(f"{share(event):.0%} – {_NAME}")

    def _note_end(self, job: Job) -> None:
        if job.state in (State.INTERRUPTED, State.FAILED):
            self._last = job.message

    def _note_halt(self, why: str) -> None:
        self._last = why

    def _follow(self) -> None:
        """Show how many clips are left, and tell of the end of a run."""
        busy = self._runner.current is not None
        waiting = sum(job.state is State.WAITING for job in self._database.jobs())
        app = QGuiApplication.instance()
        if isinstance(app, QGuiApplication):
            # The count of what rests says nothing about a run.
            app.setBadgeNumber(waiting + 1 if busy else 0)
        if not busy:
            self._window.setWindowTitle(_NAME)
        if self._running and not busy:
            self._running = False
            self._tell()

    def _tell(self) -> None:
        text = self._summary()
        away = QGuiApplication.applicationState() != Qt.ApplicationState.ApplicationActive
        if text and away and time.monotonic() - self._began >= LONG:
            QApplication.alert(self._window)  # bounces in the Dock
            if self._preferences.notifies:
                notify(text)

    def _summary(self) -> str:
        """A run in a sentence; "" where there is nothing to tell, since the user cancelled it."""
        made = self._tally.made
        failed = len(self._tally.failed) + self._tally.interrupted
        if self._last and made + failed <= 1:
            return self._last
        if not made:
            return f"{failed} clips failed." if failed else ""
        done = "The clip is done." if made == 1 else f"{made} clips are done."
        return f"{done} {failed} failed." if failed else done
