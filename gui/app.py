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

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.database_file import data_folder
from mlxvid.gui.core.preferences import Appearance, Preferences
from mlxvid.gui.core.worker_client import WorkerClient
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import apply_theme, system_is_dark

from .window import Window

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


def apply_appearance(app: QApplication, appearance: Appearance) -> None:
    """Give the whole app the look that the user chose."""
    if appearance is Appearance.SYSTEM:
        apply_theme(app, system_is_dark(app))
    else:
        apply_theme(app, appearance is Appearance.DARK)


def follow_appearance(app: QApplication, preferences: Preferences) -> None:
    """Look as the user chose, now and whenever that or the system changes."""
    apply_appearance(app, preferences.appearance)
    for changed in (preferences.appearance_changed, app.styleHints().colorSchemeChanged):
        changed.connect(lambda: apply_appearance(app, preferences.appearance))


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
