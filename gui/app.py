"""The application: one instance, its look, and the window."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QLockFile, Qt, Signal
from PySide6.QtGui import QFileOpenEvent, QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication, QMessageBox

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.database_file import data_folder
from mlxvid.gui.core.ending import EndRequests
from mlxvid.gui.core.preferences import Appearance, Preferences
from mlxvid.gui.core.raising import RaiseRequests, ask_to_raise
from mlxvid.gui.core.session_log import SessionLog, log_file
from mlxvid.gui.core.worker_client import WorkerClient
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import apply_theme, system_is_dark

from .window import Window

log = logging.getLogger("mlxvid.gui")

LOCK = "app.lock"
# Milliseconds to wait for another instance that is about to end.
LOCK_PATIENCE = 500


class Application(QApplication):
    """The Qt application.

    file_opened: a file that macOS hands over, double-clicked in the Finder or dropped on the Dock.
    early: those that came before there was a window.
    """

    file_opened = Signal(Path)

    def __init__(self, arguments: list[str]):
        super().__init__(arguments)
        self.early: list[Path] = []
        self.file_opened.connect(self.early.append)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent) and event.file():
            self.file_opened.emit(Path(event.file()))
            return True
        return super().event(event)


def make_application(arguments: Sequence[str]) -> Application:
    """Make the application, with the names by which the system knows it."""
    # A window on a screen at 125 % is drawn at 125 %, not at 100 or 200.
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(
        Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
    )
    app = Application(list(arguments))
    app.setApplicationName("mlxvid")
    app.setApplicationDisplayName("mlxvid")
    if sys.platform != "darwin":  # there it would cover the app's own icon in the Dock
        app.setWindowIcon(QIcon(icon("film").pixmap(256, 256)))
    return app


def apply_appearance(app: QApplication, appearance: Appearance) -> None:
    """Apply the appearance that the user chose to the whole app."""
    if appearance is Appearance.SYSTEM:
        apply_theme(app, system_is_dark(app))
    else:
        apply_theme(app, appearance is Appearance.DARK)


def follow_appearance(app: QApplication, preferences: Preferences) -> None:
    """Apply the chosen appearance now, and again when it or the system's changes."""
    apply_appearance(app, preferences.appearance)
    for changed in (preferences.appearance_changed, app.styleHints().colorSchemeChanged):
        changed.connect(lambda: apply_appearance(app, preferences.appearance))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app on the files that are given until its window is closed: the exit code."""
    app = make_application(sys.argv if arguments is None else arguments)
    files = [Path(argument) for argument in app.arguments()[1:]]
    preferences = Preferences()
    preferences.apply_environment()
    follow_appearance(app, preferences)
    lock = lock_data_folder()
    if lock is None:
        if ask_to_raise(data_folder(), files):
            return 0
        # Qt takes over a crashed instance's lock, unless the computer was renamed since.
        text = (
            "mlxvid is already open, and does not answer: look for its window. "
            f"If there is none, delete {data_folder() / LOCK} and start mlxvid again."
        )
        QMessageBox.information(None, "mlxvid", text)
        return 1
    session = SessionLog(data_folder())
    try:
        return run(app, preferences, files, session)
    except Exception as error:  # whoever starts a bundle sees nothing else of it
        log.exception("mlxvid can't start")
        reason = " ".join(str(error).split()) or type(error).__name__
        text = f"mlxvid can't start ({reason}). The log is in {log_file(data_folder())}."
        QMessageBox.critical(None, "mlxvid", text)
        return 1
    finally:
        session.close()
        lock.unlock()


def run(
    app: Application, preferences: Preferences, files: Sequence[Path], session: SessionLog
) -> int:
    """Open the window and the files, and run until it is closed; returns the exit code."""
    database = Database()
    window = Window(database, preferences, WorkerClient(silence=preferences.silence))
    if session.crashed:
        window.announcements.report_crash()
    session.failed.connect(window.announcements.report_fault)
    app.file_opened.connect(window.opening.open_file)
    requests = RaiseRequests(data_folder(), window)
    requests.asked.connect(window.show_in_front)
    requests.asked.connect(window.opening.open_files)
    endings = EndRequests(window)
    endings.asked.connect(window.quit_now)
    window.show()
    window.opening.open_files([*files, *app.early])
    try:
        return app.exec()
    finally:
        endings.close()
        database.close()


def lock_data_folder() -> QLockFile | None:
    """Lock the data folder; None if another instance holds it.

    Two instances would run the same queue twice. Qt takes over the lock of one that crashed.
    """
    folder = data_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("%s can't be made (%s)", folder, error)  # the database reports it
    lock = QLockFile(str(folder / LOCK))
    lock.setStaleLockTime(0)
    if lock.tryLock(LOCK_PATIENCE):
        return lock
    # An unwritable folder is no sign of another instance: the database reports it.
    held_elsewhere = lock.error() == QLockFile.LockError.LockFailedError
    return None if held_elsewhere else lock
