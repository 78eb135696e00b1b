"""The window: its process, its menus, its panels, and what it keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image
from PySide6.QtWidgets import (
    QDialog,
    QLabel,
    QMessageBox,
)

from mlxvid import __version__
from mlxvid.gui.core.copies import Copy, Source
from mlxvid.gui.core.jobs import State
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.recipes import Recipe
from mlxvid.gui.dialogs.about import about_facts
from tests.gui.windows import SETTINGS, said, write_clip


def test_no_mlx_in_the_app_s_process(home):
    script = """
import sys, threading
from PySide6.QtCore import QMetaObject, Qt
from mlxvid.gui import app
def close():
    queued = Qt.ConnectionType.QueuedConnection
    QMetaObject.invokeMethod(app.QApplication.instance(), "closeAllWindows", queued)
threading.Timer(2, close).start()
code = app.main(["mlxvid"])
heavy = ("mlx", "torch", "transformers")
strange = sorted(name for name in sys.modules if name.split(".")[0] in heavy)
sys.exit(f"code {code}, imported {strange[:5]}" if code or strange else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_second_instance_does_not_begin(home, monkeypatch, qapp):
    from mlxvid.gui import app

    first = app.lock_data_folder()
    assert first is not None
    assert app.lock_data_folder() is None
    first.unlock()
    again = app.lock_data_folder()
    assert again is not None
    again.unlock()


def test_the_first_window_fits_the_screen(home):
    screen = {"name": "small", "x": 0, "y": 0, "width": 1180, "height": 700}
    (home / "screen.json").write_text(json.dumps({"screens": [screen]}))
    script = """
from mlxvid.gui.app import make_application
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.recipes import Recipe
from mlxvid.gui.core.worker_client import WorkerClient
from mlxvid.gui.window import Window
app = make_application(["x"])
window = Window(Database(), Preferences(), WorkerClient(["true"]))
window.show()
app.processEvents()
print(window.width(), window.height())
window.quit_now()
"""
    platform = f"offscreen:configfile={home / 'screen.json'}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "QT_QPA_PLATFORM": platform},
    )
    width, height = map(int, done.stdout.split())
    assert width <= 1180, done.stderr
    assert height <= 700


def test_variations_and_extending_from_the_gallery(window, home):
    window.runner.pause(True)
    window.gallery.make_variations.emit(SETTINGS)
    seeds = [job.settings["seed"] for job in window.database.jobs()]
    assert len(set(seeds) | {11}) == 5
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(home / "last.png")
    window.gallery.extend_clip.emit(
        {**SETTINGS, "prompt": "a ring"}, home / "last.png", home / "clip.mp4"
    )
    assert window.compose.settings()["prompt"] == "a ring" and window.compose.settings()[
        "image"
    ] == str(home / "last.png")


def test_compare_and_back(window, home):
    numbers = []
    for name in ("a", "b"):
        path = write_clip(home / f"{name}.mp4")
        numbers.append(window.database.add_clip(path, SETTINGS, 16.0, 9, 64, 64))
    window.gallery.compare.emit(numbers)
    assert window.stage.comparing
    window.leave_compare()
    assert not window.stage.comparing
    window.gallery.open_clip.emit(numbers[0])
    assert window.stage.player.path == home / "a.mp4"


def test_quitting_while_a_clip_is_made_asks_first(window):
    window.compose.apply_settings(SETTINGS)
    window.compose.generate()
    assert window.runner.current is not None and window.isVisible()
    for _ in range(2):
        window.close()
    (box,) = window.findChildren(QMessageBox)  # it is asked once
    assert window.isVisible()
    assert "resume" in box.informativeText()
    next(button for button in box.buttons() if button.text() == "Quit").click()
    assert not window.isVisible() and not window.client.alive
    assert (
        window.database.jobs()[0].state is State.RUNNING
    )  # which the next start finds, and calls interrupted


def test_quitting_during_an_export_or_an_import_asks_first(window, home):
    source = write_clip(home / "a.mp4")
    clip = Source(source, 9, 8, 48, 32)
    window.exports.start([Copy(clip, home / "b.mp4")], Recipe("webm"))
    window.tools.show_models()
    window.tools.models.import_checkpoint(
        home / "new", "New", [str(home), "--out", str(home / "new")]
    )
    window.close()
    (box,) = window.findChildren(QMessageBox)
    assert window.isVisible()
    assert "exported" in box.text()
    assert "fetched" in box.text()
    box.reject()
    window.quit_now()
    assert not window.isVisible()


def test_the_models_window_answers_in_itself(window):
    window.tools.show_models()
    window.tools.models.get_repository("nonsense")
    (notice,) = window.tools.models.notices.notices
    assert "owner/name" in notice.text
    assert said(window) == ""
    window.tools.models.window().close()
    window.tools.models.get_repository("nonsense")
    assert "owner/name" in said(window)


def test_an_export_that_fails_stays_told(window, home):
    window.exports.warning.emit("It can't be written.")
    window.notices._timer.timeout.emit()
    assert said(window) == "It can't be written."


def test_size_and_columns_are_as_they_were(open_window, qtbot):
    window = open_window()
    window.resize(1300, 760)
    window.splitter.setSizes([400, 600, 300])
    columns = window.splitter.sizes()
    window.compose.prompt.set_text("a fox")
    window.menus.compose_panel.trigger()
    window.close()
    again = open_window()
    assert (
        again.compose.isHidden()
        and not again.menus.compose_panel.isChecked()
        and again.side.isVisible()
    )
    again.menus.compose_panel.trigger()
    qtbot.waitUntil(lambda: again.splitter.sizes() == columns)
    assert (again.width(), again.height()) == (1300, 760)
    assert again.compose.prompt.toPlainText() == "a fox"


def test_the_clips_folder_is_the_one_chosen(home, monkeypatch, preferences):
    monkeypatch.delenv("MLXVID_CLIPS")
    assert preferences.clips_folder.name == "mlxvid"
    preferences.clips_folder = home / "films"
    assert Preferences().clips_folder == home / "films"


def test_the_menus_do_what_they_say(window):
    actions = {
        action.text(): action
        for menu in (window.menus.file, window.menus.view, window.menus.edit)
        for action in menu.actions()
    }
    window.compose.prompt.set_text("a fox")
    actions["New Clip"].trigger()
    assert window.compose.prompt.toPlainText() == ""
    actions["Generate"].trigger()
    assert "prompt" in window.compose.complaints[window.compose.prompt].text()
    actions["Side Panel"].trigger()
    assert window.side.isHidden()
    actions["Queue"].trigger()
    assert (
        window.side.isVisible()
        and window.side.currentWidget() is window.queue
        and actions["Side Panel"].isChecked()
    )
    assert not window.menus.cancel.isEnabled()


def test_about(window, machine):
    facts = dict(about_facts(machine))
    assert facts["mlxvid"] == __version__
    assert facts["MLX"][0].isdigit()
    assert "256.0 GiB" in facts["Memory"]
    assert "200.0 GiB" in facts["Memory"]
    next(
        action for action in window.menus.help.actions() if action.text() == "About mlxvid"
    ).trigger()
    (dialog,) = (one for one in window.findChildren(QDialog) if one.windowTitle() == "About mlxvid")
    assert any(label.accessibleName().startswith("Qt: ") for label in dialog.findChildren(QLabel))
    dialog.close()
