"""The application: one instance, its look, and the window."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QLockFile, Qt, Signal
from PySide6.QtGui import QFileOpenEvent, QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication, QMessageBox

from .database import Database
from .database_file import data_folder
from .icons import icon
from .preferences import Preferences
from .theme import apply_theme
from .window import Window
from .worker_client import WorkerClient

log = logging.getLogger("mlxvid.gui")

LOCK = "app.lock"
# Another instance that ends meanwhile is waited for so many milliseconds.
LOCK_PATIENCE = 500


class Application(QApplication):
    """`file_opened`: a file that macOS hands over, double-clicked in the Finder or dropped on the
    Dock's icon.
    """

    file_opened = Signal(Path)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent) and event.file():
            self.file_opened.emit(Path(event.file()))
            return True
        return super().event(event)


def make_application(arguments: Sequence[str]) -> Application:
    """The application, with names by which the system knows it."""
    # A window on a screen at 125 % is drawn at 125 %, not at 100 or 200.
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(
        Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
    )
    app = Application(list(arguments))
    app.setApplicationName("mlxvid")
    app.setApplicationDisplayName("mlxvid")
    app.setWindowIcon(QIcon(icon("film").pixmap(256, 256)))
    return app


def follow_appearance(app: QApplication, preferences: Preferences) -> None:
    """Look as the user chose, now and whenever that or the system changes."""
    apply_theme(app, preferences.appearance)
    preferences.appearance_changed.connect(lambda: apply_theme(app, preferences.appearance))
    app.styleHints().colorSchemeChanged.connect(lambda: apply_theme(app, preferences.appearance))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app until its window is closed; returns the exit code."""
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # Qt's loop would never come round to Python's own answer to Ctrl-C
    app = make_application(sys.argv if arguments is None else arguments)
    preferences = Preferences()
    follow_appearance(app, preferences)
    lock = _lock()
    if lock is None:
        # Qt takes a crashed instance's lock over, unless the computer has another name by now.
        text = f"mlxvid is open already: look for its window. If there is none, delete {data_folder() / LOCK} and start mlxvid again."
        QMessageBox.information(None, "mlxvid", text)
        return 1
    database = Database()
    window = Window(database, preferences, WorkerClient(silence=preferences.silence))
    app.file_opened.connect(window.open_file)
    window.show()
    try:
        return app.exec()
    finally:
        database.close()
        lock.unlock()


def _lock() -> QLockFile | None:
    """Two instances would run the same queue twice. A lock that a crashed one left behind is taken
    over by Qt.
    """
    folder = data_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("%s can't be made (%s)", folder, error)  # the database tells the user
    lock = QLockFile(str(folder / LOCK))
    lock.setStaleLockTime(0)
    held = not lock.tryLock(LOCK_PATIENCE) and lock.error() == QLockFile.LockError.LockFailedError
    return None if held else lock
