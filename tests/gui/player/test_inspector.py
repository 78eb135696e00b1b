"""The inspector tells what made the clip in view, and gives it to be used again."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton, QToolButton

from mlxvid.gui.core.jobs import Job, State
from tests.gui.clips import levels, write_foreign
from tests.gui.windows import SETTINGS, write_clip

WAIT = 10_000


@pytest.fixture
def opened(window, qtbot, home):
    """The window with a clip in view and the inspector shown."""
    window.activateWindow()
    path = write_clip(home / "a_long-name.mp4")
    (job,) = window.database.insert_jobs([Job(SETTINGS, state=State.DONE)])
    window.database.add_clip(path, SETTINGS, 16.0, 9, 64, 64, job=job)
    window.database.note_end(job, 75)
    view(window, qtbot, path)
    qtbot.keyClick(window, Qt.Key.Key_I, Qt.KeyboardModifier.ControlModifier)
    return window


def view(window, qtbot, path) -> None:
    with qtbot.waitSignal(window.stage.player.reel.ended, timeout=WAIT):
        window.stage.open(path)


def text(window, name: str) -> str | None:
    """What a line says; None where it isn't shown."""
    label = window.stage.inspector.findChild(QLabel, f"fact-{name}")
    shown = label is not None and not label.parentWidget().isHidden()
    return label.text().replace("\u200b", "") if shown else None


def press(window, label: str) -> None:
    buttons = window.stage.inspector.findChildren(QPushButton)
    next(button for button in buttons if button.text() == label).click()


def test_it_tells_what_made_the_clip(opened):
    assert opened.stage.inspector.isVisible()
    assert text(opened, "prompt") == "a blue star"
    assert text(opened, "seed") == "11"
    assert text(opened, "length") == "0.6 s, 9 frames"
    assert text(opened, "seconds") == "1 min 15 s"
    assert text(opened, "file") == "a_long-name.mp4"
    assert text(opened, "created")


def test_each_line_is_copied(opened, home):
    for name, copied in (("prompt", "a blue star"), ("file", str(home / "a_long-name.mp4"))):
        opened.stage.inspector.findChild(QToolButton, f"copy-{name}").click()
        assert QGuiApplication.clipboard().text() == copied


def test_its_settings_are_used_again(opened):
    opened.compose.prompt.set_text("something else")
    press(opened, "Use Prompt")
    assert opened.compose.prompt.toPlainText() == "a blue star"
    press(opened, "Use Seed")
    assert opened.compose.seed.value() == 11 and opened.compose.seed.locked
    opened.compose.steps.setValue(50)
    press(opened, "Use These Settings")
    assert opened.compose.settings()["steps"] == 3


def test_it_follows_what_is_in_view(opened, qtbot, home):
    view(opened, qtbot, write_foreign(home / "film.mkv"))
    assert text(opened, "prompt") is None and text(opened, "created") is None
    assert text(opened, "size") == "48×32"
    note = opened.stage.inspector.findChild(QLabel, "inspector-note")
    assert note.isVisible() and "not made with mlxvid" in note.text()
    buttons = opened.stage.inspector.findChildren(QPushButton)
    assert not any(button.isEnabled() for button in buttons)
    opened.stage.player.clear()
    assert text(opened, "size") is None and note.isVisible()
    opened.runner.current = Job({**SETTINGS, "prompt": "a preview"}, 5)
    opened.stage.follow()
    opened.runner.previewed.emit(levels(5), 8.0)
    opened.runner.current = Job({**SETTINGS, "prompt": "the next"}, 6)
    opened.stage.info.toggled.emit(True)
    opened.runner.current = None
    assert text(opened, "prompt") == "a preview" and text(opened, "file") is None


def test_it_is_hidden_again_and_remembered(opened, open_window):
    opened.close()
    again = open_window()
    assert again.stage.info.isChecked() and again.stage.inspector.isVisible()
    again.stage.info.trigger()
    assert not again.stage.inspector.isVisible()
