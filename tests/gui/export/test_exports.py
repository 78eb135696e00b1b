"""From the sheet to the copy: what is asked, what is made, and what is said of it."""

from __future__ import annotations

import os

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import (
    QComboBox,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
)

from mlxvid.gui.core.clips_folder import look_through
from mlxvid.gui.core.copies import Source
from mlxvid.gui.core.recipes import ORIGINAL, PRESETS
from mlxvid.gui.core.tasks import Task
from mlxvid.gui.export.exports import Exports
from mlxvid.gui.export.sheet import ExportSheet
from mlxvid.gui.widgets.fields import pick
from mlxvid.media.clip import Clip
from tests.gui.clips import add, number_of, write_clip

WAIT = 10_000


@pytest.fixture
def exports(qtbot, database, preferences, home):
    preferences.remember("export_folder", str(home))
    exports = Exports(database, preferences)
    qtbot.addWidget(exports.bar)
    return exports


@pytest.fixture
def clip(home):
    return write_clip(home / "fox.mp4", frames=12, width=96, height=64)


def source(path, first=0, last=None) -> Source:
    return Source(path, 12, 8.0, 96, 64, first, last)


def asked(exports, *sources) -> ExportSheet:
    """The sheet that asks about these clips."""
    exports.ask(list(sources), exports.bar)
    return exports.bar.findChildren(ExportSheet)[-1]


def choose(sheet, name: str, value: object) -> None:
    """Choose in one of the sheet's fields."""
    field = sheet.findChild(QComboBox, name)
    pick(field, value)
    field.activated.emit(field.currentIndex())


def button(sheet) -> QPushButton:
    """The button that exports."""
    box = sheet.findChild(QDialogButtonBox)
    return next(one for one in box.buttons() if box.buttonRole(one).name == "AcceptRole")


def facts(sheet) -> str:
    return sheet.findChild(QLabel, "export-facts").text()


def name_field(sheet) -> QLineEdit:
    return sheet.findChild(QLineEdit, "export-name")


def type_name(qtbot, sheet, text: str) -> None:
    name_field(sheet).clear()
    qtbot.keyClicks(name_field(sheet), text)


def state(exports) -> str:
    return exports.bar.findChild(QLabel, "export-state").text()


def export(qtbot, exports, sheet) -> None:
    """Press the button, and wait for the end."""
    with qtbot.waitSignal(exports.job.ended, timeout=WAIT):
        button(sheet).click()
        assert not sheet.isVisible()


def test_a_preset_fills_the_fields_and_a_free_name_is_proposed(qtbot, exports, clip, home):
    sheet = asked(exports, source(clip))
    choose(sheet, "preset", "Chat")
    assert name_field(sheet).text() == "fox"
    assert sheet.findChild(QComboBox, "export-format").currentText() == "GIF"
    for fact in ("96×64", "12.5 fps", "1.5 s"):
        assert fact in facts(sheet)
    export(qtbot, exports, sheet)
    assert (home / "fox.gif").exists()
    assert "fox.gif" in state(exports)
    assert not exports.bar.findChild(QPushButton, "export-show").isHidden()
    again = asked(exports, source(clip))
    assert again.findChild(QComboBox, "preset").currentText() == "Chat"  # as the last time
    assert name_field(again).text() == "fox 2"


def test_only_what_is_marked(qtbot, exports, clip, home):
    sheet = asked(exports, source(clip, 2, 6))
    choose(sheet, "preset", "Share")
    assert "0.6 s" in facts(sheet)
    choose(sheet, "export-part", False)
    assert "1.5 s" in facts(sheet)
    choose(sheet, "export-part", True)
    type_name(qtbot, sheet, "part")
    export(qtbot, exports, sheet)
    frames = Clip.load(home / "part.mp4").frames
    assert [number_of(frame) for frame in frames] == [2, 3, 4, 5, 6]


def test_the_original_is_whole_and_says_so(qtbot, exports, clip, home):
    sheet = asked(exports, source(clip, 2, 6))
    choose(sheet, "export-format", ORIGINAL.key)
    assert sheet.findChild(QComboBox, "export-size").isHidden()
    assert "whole clip" in facts(sheet)
    assert name_field(sheet).text() == "fox 2"
    export(qtbot, exports, sheet)
    assert (home / "fox 2.mp4").read_bytes() == clip.read_bytes()


def test_a_master_says_what_it_is_made_from(exports, clip, home):
    sheet = asked(exports, source(clip))
    choose(sheet, "preset", "Archive")
    assert "no finer" in facts(sheet)
    sheet = asked(exports, source(write_clip(home / "frames", frames=12)))
    choose(sheet, "preset", "Archive")
    assert "no finer" not in facts(sheet)


def test_names_are_answered_beside_the_field(qtbot, exports, clip, home, database):
    add(database, home / "other.mp4")
    (home / "there.mp4").touch()
    sheet = asked(exports, source(clip))
    choose(sheet, "preset", "Share")
    for name, word in (("other", "gallery"), ("", "name"), ("a/b", "slash")):
        type_name(qtbot, sheet, name)
        assert word in facts(sheet)
        assert not button(sheet).isEnabled()
    type_name(qtbot, sheet, "there")
    assert button(sheet).text() == "Replace"
    choose(sheet, "preset", "Chat")  # the name that was typed stays
    assert name_field(sheet).text() == "there"
    assert button(sheet).text() == "Export"


def test_what_a_format_can_not_do_is_said_before(exports, clip, home):
    small = Source(clip, 12, 8.0, 48, 32)
    sheet = asked(exports, small)
    choose(sheet, "export-format", "hevc")
    assert "64" in facts(sheet)
    assert not button(sheet).isEnabled()
    choose(sheet, "export-format", "gif")
    choose(sheet, "export-rate", 60.0)
    assert "50" in facts(sheet)


def test_many_clips_at_once(qtbot, exports, home):
    sources = []
    for name in ("fox", "owl", "hen"):
        sources.append(source(write_clip(home / f"{name}.mp4", frames=3)))
    (home / "owl.gif").touch()
    sheet = asked(exports, *sources)
    choose(sheet, "preset", "Chat")
    assert name_field(sheet).parentWidget().isHidden()
    assert "3 clips" in facts(sheet)
    export(qtbot, exports, sheet)
    assert {name for name in os.listdir(home) if name.endswith(".gif")} == {
        "fox.gif",
        "owl.gif",
        "owl 2.gif",
        "hen.gif",
    }
    assert "3 clips" in state(exports)


def test_what_is_left_out_of_many_is_counted(qtbot, exports, home):
    sources = [source(home / "gone.mp4")]
    for name in ("fox", "owl"):
        sources.append(source(write_clip(home / f"{name}.mp4", frames=3)))
    sheet = asked(exports, *sources)
    choose(sheet, "preset", "Chat")
    with qtbot.waitSignal(exports.warning, timeout=WAIT) as said:
        button(sheet).click()
    assert "gone.mp4" in said.args[0]
    assert "locate" in said.args[0]
    assert "2 of 3 clips" in state(exports)


def test_own_presets_stay(qtbot, exports, clip, preferences):
    sheet = asked(exports, source(clip))
    choose(sheet, "preset", "Chat")
    choose(sheet, "export-size", 0)
    presets = sheet.findChild(QComboBox, "preset")
    assert presets.currentText() == "Custom"
    menu = sheet.findChild(QToolButton, "preset-menu").menu()
    save, delete = menu.actions()
    assert not delete.isEnabled()
    save.trigger()
    qtbot.keyClicks(sheet.findChild(QLineEdit, "preset-name"), "Mine")
    sheet.findChild(QLineEdit, "preset-name").returnPressed.emit()
    assert presets.currentText() == "Mine"
    assert sheet.isVisible()
    again = asked(exports, source(clip))
    choose(again, "preset", "Mine")
    assert again.findChild(QComboBox, "export-format").currentText() == "GIF"
    assert PRESETS["Chat"].side  # and that is as it was
    menu = again.findChild(QToolButton, "preset-menu").menu()
    menu.actions()[1].trigger()
    assert preferences.recall("export_presets", {"none": 1}) == {}


def test_a_preset_needs_a_name_of_its_own(qtbot, exports, clip):
    sheet = asked(exports, source(clip))
    sheet.findChild(QToolButton, "preset-menu").menu().actions()[0].trigger()
    field = sheet.findChild(QLineEdit, "preset-name")
    qtbot.keyClicks(field, "Chat")
    field.returnPressed.emit()
    assert field.isVisible()
    assert "name" in sheet.findChild(QLabel, "preset-problem").text()


def test_exports_into_the_clips_folder_are_no_clips(qtbot, exports, clip, home, database):
    sheet = asked(exports, source(clip))
    choose(sheet, "export-format", ORIGINAL.key)
    export(qtbot, exports, sheet)
    known = database.known_paths()
    found, _ = look_through(home, known, {}, Task(lambda task: None))
    assert [one.path.name for one in found] == ["fox.mp4"]
    assert database.add_found(found) == 1


def test_a_failure_is_told_and_the_file_is_no_export(qtbot, exports, clip, home, database):
    sheet = asked(exports, source(clip))
    choose(sheet, "preset", "Chat")
    clip.write_text("damaged")
    with qtbot.waitSignal(exports.warning, timeout=WAIT) as said:
        button(sheet).click()
    assert "fox.mp4" in said.args[0]
    assert exports.bar.isHidden()
    assert str(home / "fox.gif") not in database.known_paths()


def test_cancel_says_so(qtbot, exports, clip):
    sheet = asked(exports, source(clip))
    choose(sheet, "preset", "Chat")
    with qtbot.waitSignal(exports.job.ended, timeout=WAIT):
        button(sheet).click()
        assert "fox.gif" in state(exports)
        exports.bar.findChild(QPushButton, "export-cancel").click()
    assert "cancelled" in state(exports)


def test_the_picture_does_not_move_for_its_line(window, qtbot):
    canvas = window.stage.player.canvas
    window.stage.greet(False)
    qtbot.waitUntil(canvas.isVisible)
    before = canvas.geometry()
    bar = window.exports.bar
    bar.show_start(window.preferences.clips_folder / "fox.gif", 0)
    qtbot.waitUntil(lambda: bar.isVisible() and bar.width() > 200)
    top = bar.mapTo(window.stage, QPoint()).y()
    lower = canvas.mapTo(window.stage, QPoint(0, canvas.height())).y()
    assert lower / 2 < top < lower - bar.height()
    assert canvas.geometry() == before
    bar.hide()
    assert not bar.parentWidget().isVisible()


def test_the_window_exports_the_clip_in_view(window, home, qtbot):
    action = window.stage.player.export
    assert action in window.menus.file.actions()
    assert not action.isEnabled()
    window.stage.open(write_clip(home / "clip.mp4"))
    qtbot.waitUntil(action.isEnabled, timeout=WAIT)
    action.trigger()
    (sheet,) = window.findChildren(ExportSheet)
    assert name_field(sheet).text() == "clip"
    sheet.close()
