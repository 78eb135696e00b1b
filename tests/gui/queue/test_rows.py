"""The rows of the queue and of the history: pictures, words, and buttons under the mouse."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QUndoStack

from mlxvid.gui.core.jobs import State
from mlxvid.gui.queue.panel import QueuePanel
from mlxvid.gui.queue.roles import LINE, PICTURE
from tests.gui.clips import write_clip
from tests.gui.queue.conftest import SETTINGS, job


@pytest.fixture
def panel(database, make_runner, preferences, qtbot, themed):
    """A queue of two that rests."""
    preferences.paused = True
    panel = QueuePanel(database, make_runner(), QUndoStack())
    panel.database = database
    qtbot.addWidget(panel)
    panel.resize(300, 500)
    panel.show()
    panel.add([job("a"), job("b")])
    return panel


def press(qtbot, view, row: int, button: int) -> None:
    rect = view.visualRect(view.model().index(row, 0))
    place = view.itemDelegate().buttons.places(rect, 2)[button].center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_a_press_on_a_button_is_for_its_row_alone(panel, qtbot):
    press(qtbot, panel.view, 1, 0)
    assert [one.message for one in panel.model.jobs] == ["", "Paused."]
    assert panel.model.index(1).data(LINE) == "Paused"
    press(qtbot, panel.view, 1, 0)
    assert panel.model.at(1).state is State.WAITING
    press(qtbot, panel.view, 0, 1)
    assert [one.title for one in panel.model.jobs] == ["b"]


def test_a_double_click_on_a_button_does_not_edit(panel, qtbot):
    edited = []
    panel.edit.connect(edited.append)
    rect = panel.view.visualRect(panel.model.index(0))
    viewport = panel.view.viewport()
    place = panel.view.itemDelegate().buttons.places(rect, 2)[0].center()
    qtbot.mouseDClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    assert edited == []
    title = rect.topLeft() + QPoint(20, 20)
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=title)
    qtbot.mouseDClick(viewport, Qt.MouseButton.LeftButton, pos=title)
    assert [one.title for one in edited] == ["a"]


def test_the_picture_is_the_start_image_then_the_preview(panel, qtbot, home):
    Image.new("RGB", (400, 200), "red").save(home / "start.png")
    panel.add([job("c", image=str(home / "start.png"))])
    index = panel.model.index(2)
    qtbot.waitUntil(lambda: index.data(PICTURE) is not None)
    assert (index.data(PICTURE).width(), index.data(PICTURE).height()) == (160, 80)
    panel._runner.current = panel.model.at(2)
    panel._runner.previewed.emit(np.full((5, 8, 8, 3), 200, np.uint8), 16.0)
    assert index.data(PICTURE).pixelColor(1, 1).red() == 200
    panel._runner.current = None
    assert panel.model.index(0).data(PICTURE) is None
    assert not panel.grab().isNull()


def test_the_history_shows_what_became_of_jobs(panel, database, qtbot, home):
    first, second = (one.number for one in panel.model.jobs)
    path = write_clip(home / "a.mp4")
    database.note_end(first, 65.0)
    database.add_clip(path, SETTINGS, 8, 9, 48, 32, job=first)
    database.set_job_state(second, State.FAILED, "It was too large.")
    assert panel.model.jobs == []
    panel.history_action.trigger()
    history = panel.history
    lines = [history.model.index(row).data(LINE) for row in range(2)]
    assert lines[0].startswith("Made in 1 min 5 s · ")
    assert lines[1] == "Failed: It was too large."
    qtbot.waitUntil(lambda: history.model.index(0).data(PICTURE) is not None)
    history.select(first)
    with qtbot.waitSignal(panel.open_clip) as opened:
        history.open_action.trigger()
    assert database.clip(opened.args[0]).path == path
    assert not history.resume_action.isEnabled()
    history.again_action.trigger()
    assert [one.title for one in panel.model.jobs] == ["a"]
    history.select(second)
    history.resume_action.trigger()
    assert [one.title for one in panel.model.jobs] == ["b", "a"]
    assert not panel.grab().isNull()


def test_a_failed_job_is_edited_from_the_history(panel, database):
    number = panel.model.at(1).number
    database.set_job_state(number, State.FAILED, "It was too large.")
    edited = []
    panel.edit.connect(edited.append)
    panel.edit_job(number)
    assert [one.title for one in edited] == ["b"] and panel.history_action.isChecked()
