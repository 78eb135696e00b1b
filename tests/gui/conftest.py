"""What the app's tests share: no screen, a library of their own, and windows that close."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# No screen, but one as large as people have: Qt brings windows back no larger than the screen is.
if os.environ.get("QT_QPA_PLATFORM", "offscreen") == "offscreen":
    os.environ["QT_QPA_PLATFORM"] = (
        f"offscreen:configfile={Path(__file__).with_name('screen.json')}"
    )
pytest.importorskip("PySide6", reason="the app's tests need the extra 'gui'")
pytest.importorskip("pytestqt", reason="the app's tests need pytest-qt")

import shiboken6  # noqa: E402
from huggingface_hub import constants  # noqa: E402

from mlxvid.gui.app import Application  # noqa: E402
from mlxvid.gui.core.choices import Choices  # noqa: E402
from mlxvid.gui.core.database import Database  # noqa: E402
from mlxvid.gui.core.preferences import Preferences  # noqa: E402
from mlxvid.gui.core.worker_client import WorkerClient  # noqa: E402
from mlxvid.gui.widgets.theme import DARK, apply_theme, colours  # noqa: E402
from mlxvid.gui.window import Window  # noqa: E402
from mlxvid.model.machine import GIB, Machine  # noqa: E402
from tests.hub.fake_hub import FakeHub  # noqa: E402

# A worker that listens and says nothing: for windows that make no clips.
IDLE = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]


@pytest.fixture(scope="session")
def qapp_cls():
    """The application that pytest-qt makes: the app's own."""
    return Application


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give the test a library, clips and settings of its own."""
    monkeypatch.setenv("MLXVID_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MLXVID_CLIPS", str(tmp_path / "clips"))
    return tmp_path


@pytest.fixture
def small_disk(tmp_path):
    """A function that makes a folder a disk of its own, with room for so many bytes."""
    mounted = []

    def make(folder: Path, size: int) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "mlxvid-test", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("this needs the right to mount a tmpfs")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def trash(tmp_path, monkeypatch):
    """A trash of the test's own, where the system is one that lets a variable say so."""
    if sys.platform == "darwin":
        pytest.skip("macOS has one trash, and it is the user's")
    (tmp_path / "data").mkdir(exist_ok=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "Trash" / "files"


@pytest.fixture
def hub(home, monkeypatch):
    """An empty hub on this machine, for this process and the commands that it starts."""
    with FakeHub().serving() as server:
        cache = str(home / "hub")
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_HUB_CACHE", cache)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", cache)
        yield server


@pytest.fixture
def database(home, qapp):
    library = Database()
    yield library
    library.close()


@pytest.fixture
def preferences(home, qapp):
    return Preferences()


@pytest.fixture
def machine():
    """A machine with memory for every model in the catalog."""
    return Machine("Test", 256 * GIB, 200 * GIB, False)


@pytest.fixture
def choices(preferences, machine):
    return Choices(preferences, machine)


@pytest.fixture
def themed(qapp):
    """The app's look, which tests of what is visible need."""
    if not qapp.styleSheet() or colours(qapp.palette()) is not DARK:  # it takes its time
        apply_theme(qapp, dark=True)
    return qapp


@pytest.fixture
def open_window(home, qtbot, themed):
    """A function that opens the app's window on this test's library, as often as needed.

    command: the worker's (None: the real one).
    """
    opened = []

    def open_(command=IDLE, choices=None) -> Window:
        database = Database()
        client = WorkerClient(command)
        window = Window(database, Preferences(), client, choices)
        window.show()
        opened.append((window, database, client))
        return window

    yield open_
    for window, database, client in opened:
        client.shutdown()
        window.quit_now()
        database.close()
        # At once: a window that waits for deletion slows down every change of style.
        shiboken6.delete(window)


@pytest.fixture
def window(open_window):
    return open_window()
