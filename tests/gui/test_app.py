"""The app as a process: its start with files, its end by a signal, and what comes after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QFileOpenEvent

from mlxvid.gui import app
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.raising import RaiseRequests
from tests.gui.conftest import IDLE
from tests.gui.windows import SETTINGS, notice_buttons, said, write_clip

# The app with a worker that says nothing; it writes a line once its window is there.
APP = f"""
import sys
from PySide6.QtCore import QTimer
from mlxvid.gui import app
from mlxvid.gui.core.worker_client import WorkerClient
app.WorkerClient = lambda **_: WorkerClient({IDLE!r})
class Window(app.Window):
    def showEvent(self, event):
        super().showEvent(event)
        self.compose.prompt.set_text("a prompt just typed")
        QTimer.singleShot(0, lambda: print("shown", flush=True))
app.Window = Window
sys.exit(app.main(sys.argv))
"""


@pytest.fixture
def start():
    """A function that starts the app on files and waits for its window."""
    begun = []

    def start_(*files: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", APP, *map(str, files)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout.readline() == "shown\n"
        return process

    yield start_
    for process in begun:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_app_in_good_order(home, start, number):
    process = start()
    process.send_signal(number)
    assert process.wait(timeout=30) == 0
    kept = Preferences().recall("compose", {})
    assert kept["settings"]["prompt"] == "a prompt just typed"
    assert not (home / "data" / "log" / "running").exists()


def test_after_a_crash_the_log_is_offered(home, start, open_window):
    process = start()
    process.send_signal(signal.SIGABRT)
    assert process.wait(timeout=30) == -signal.SIGABRT
    session = app.SessionLog(home / "data")
    assert session.crashed
    window = open_window()
    window.announcements.report_crash()
    assert "ended unexpectedly" in said(window)
    notice_buttons(window)[0].click()
    session.close()
    text = window.tools._log.text.toPlainText()
    assert "Fatal Python error: Aborted" in text and "app.py" in text


def test_what_keeps_the_app_from_starting_is_told_and_logged(home):
    code = """
import sys
from mlxvid.gui import app
app.QMessageBox.critical = lambda parent, title, text: print(text)
sys.exit(app.main(["mlxvid"]))
"""
    strange = {**os.environ, "MLXVID_RESERVE": "much"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=strange, timeout=60
    )
    path = home / "data" / "log" / "mlxvid.log"
    assert done.returncode == 1
    assert "MLXVID_RESERVE=much" in done.stdout and str(path) in done.stdout
    assert "Traceback" in path.read_text()


def test_a_fault_of_the_app_is_told_once(window):
    for _ in range(2):
        window.announcements.report_fault()
    assert said(window).count("went wrong in mlxvid itself") == 1
    labels = [button.text() for button in notice_buttons(window)]
    assert labels == ["Show Log", "Report a Problem…"]


def test_files_of_a_second_start_open_in_the_first_window(window, home, qtbot):
    clip = write_clip(home / "a.mp4")
    lock = app.lock_data_folder()
    requests = RaiseRequests(app.data_folder())
    requests.asked.connect(window.show_in_front)
    requests.asked.connect(window.opening.open_files)
    window.showMinimized()
    code = "import sys; from mlxvid.gui import app; sys.exit(app.main(sys.argv))"
    second = subprocess.Popen([sys.executable, "-c", code, "a.mp4"], cwd=home)
    qtbot.waitUntil(lambda: window.stage.player.path == clip, timeout=30_000)
    assert window.compose.prompt.toPlainText() == SETTINGS["prompt"]
    assert not window.isMinimized()
    assert second.wait(timeout=30) == 0
    lock.unlock()


def test_files_that_come_before_the_window_are_kept_for_it(home, qapp):
    qapp.early.clear()
    qapp.sendEvent(qapp, QFileOpenEvent(QUrl.fromLocalFile(str(home / "a.mp4"))))
    assert qapp.early == [home / "a.mp4"]


def test_a_first_that_does_not_answer_is_not_waited_for(home):
    (home / "data").mkdir()
    began = time.monotonic()
    assert not app.ask_to_raise(home / "data", [home / "a.mp4"], patience=0.05)
    assert time.monotonic() - began < 1
    assert not app.ask_to_raise(home / "none", patience=0.05)
    assert os.listdir(home / "data") == ["show-window"]
