"""The stage follows what is made, and leaves the picture where it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QToolButton

from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.widgets.notices import Notice
from mlxvid.gui.widgets.theme import LIGHT, apply_theme, colours
from tests.gui.clips import levels
from tests.gui.windows import SETTINGS, said, write_clip

WAIT = 10_000


def open_clip(qtbot, window, path) -> None:
    player = window.stage.player
    with qtbot.waitSignal(player.reel.ended, timeout=WAIT):
        window.stage.open(path)
    player.playhead.pause()


def test_space_plays_wherever_no_text_is_written_and_nothing_is_pressed(window, qtbot, home):
    window.activateWindow()
    open_clip(qtbot, window, write_clip(home / "clip.mp4"))
    head = window.stage.player.playhead
    for widget in (window.gallery.view, window.stage.player.canvas, window.side.tabBar()):
        widget.setFocus()
        before = head.playing
        qtbot.keyClick(widget, Qt.Key.Key_Space)
        assert head.playing is not before
    head.pause()
    window.compose.prompt.set_text("a")
    window.compose.prompt.setFocus()
    qtbot.keyClick(window.compose.prompt, Qt.Key.Key_Space)
    assert " " in window.compose.prompt.toPlainText() and not head.playing
    favourites = window.gallery.favourites
    favourites.setFocus()
    qtbot.keyClick(favourites, Qt.Key.Key_Space)
    assert favourites.isChecked() and not head.playing


def test_marks_are_set_wherever_no_text_is_written_and_the_clip_is_in_view(window, qtbot, home):
    window.activateWindow()
    open_clip(qtbot, window, write_clip(home / "clip.mp4"))
    head = window.stage.player.playhead
    view = window.gallery.view
    view.setFocus()
    head.seek(2)
    qtbot.keyClick(view, Qt.Key.Key_I)
    head.seek(5)
    qtbot.keyClick(view, Qt.Key.Key_O)
    assert (head.first, head.last) == (2, 5)
    clips = []
    for name in "ab":
        path = write_clip(home / f"{name}.mp4")
        clips.append(window.database.add_clip(path, SETTINGS, 16.0, 9, 64, 64))
    window.stage.open_compare(clips)
    head.seek(4)
    qtbot.keyClick(window.stage.compare.canvas, Qt.Key.Key_I)
    assert (head.first, head.last) == (2, 5)
    window.compose.prompt.setFocus()
    qtbot.keyClick(window.compose.prompt, Qt.Key.Key_O)
    assert window.compose.prompt.toPlainText().endswith("o") and head.last == 5


def test_the_shuttle_s_keys_work_wherever_no_text_is_written(window, qtbot, home):
    window.activateWindow()
    open_clip(qtbot, window, write_clip(home / "clip.mp4"))
    head = window.stage.player.playhead
    speed = window.stage.player.transport.findChild(QToolButton, "speed")
    window.gallery.view.setFocus()
    keys = [(Qt.Key.Key_L, 1, "1×"), (Qt.Key.Key_L, 2, "2×"), (Qt.Key.Key_J, -1, "−1×")]
    for key, pace, text in keys:
        qtbot.keyClick(window.gallery.view, key)
        assert head.playing and head.pace == pace and speed.text() == text
    qtbot.keyClick(window.gallery.view, Qt.Key.Key_K)
    assert not head.playing and speed.text() == "1×"
    window.compose.prompt.set_text("")
    window.compose.prompt.setFocus()
    qtbot.keyClicks(window.compose.prompt, "jolly kelp")
    assert window.compose.prompt.toPlainText() == "jolly kelp" and not head.playing


def test_space_and_the_menu_are_the_comparison_s_while_it_is_shown(window, qtbot, home):
    window.activateWindow()
    paths = [write_clip(home / f"{name}.mp4") for name in "ab"]
    ids = [window.database.add_clip(path, SETTINGS, 16.0, 9, 64, 64) for path in paths]
    window.stage.open_compare(ids)
    compare = window.stage.compare
    qtbot.waitUntil(lambda: all(reel.complete for reel in compare.reels), timeout=WAIT)
    playing = compare.playhead.playing
    qtbot.keyClick(window.stage, Qt.Key.Key_Space)
    assert compare.playhead.playing is not playing
    window.menus.playback.aboutToShow.emit()
    assert compare.transport.forward in window.menus.playback.actions()
    window.leave_compare()
    window.menus.playback.aboutToShow.emit()
    assert window.stage.player.transport.forward in window.menus.playback.actions()


def test_a_notice_lies_over_the_picture_and_moves_nothing(window, qtbot, home):
    canvas = window.stage.player.canvas
    open_clip(qtbot, window, write_clip(home / "clip.mp4"))

    def place() -> QRect:
        return QRect(canvas.mapTo(window, QPoint()), canvas.size())

    before = place()
    window.notices.show_notice(Notice("Something long is wrong. " * 12, wrong=True))
    qtbot.wait(50)
    notices = window.notices
    over = QRect(notices.mapTo(window, QPoint()), notices.size())
    assert place() == before and before.contains(over)
    text = notices.findChildren(type(notices._more), "notice-text")[-1]
    assert text.height() >= text.heightForWidth(text.width())
    assert notices.findChild(QToolButton, "notice-close").isVisible()
    notices.clear()
    assert place() == before


def test_the_picture_s_surround_is_the_same_in_both_appearances(window, qtbot, qapp):
    canvas = window.stage.player.canvas
    canvas.set_text("")

    def surround():
        return canvas.grab().toImage().pixelColor(3, 40)

    dark = surround()
    apply_theme(qapp, dark=False)
    try:
        assert colours(canvas.palette()) is LIGHT
        assert surround() == dark
        assert dark.lightness() < 40 and dark.saturation() < 40
    finally:
        apply_theme(qapp, dark=True)


def test_a_job_that_cannot_be_added_changes_nothing_on_the_stage(window, qtbot, home):
    paths = [write_clip(home / f"{name}.mp4") for name in "ab"]
    ids = [window.database.add_clip(path, SETTINGS, 16.0, 9, 64, 64) for path in paths]
    window.stage.open_compare(ids)
    window.database._connection.execute("PRAGMA query_only = 1")
    window.compose.prompt.set_text("a ball")
    window.compose.generate()
    assert window.runner.current is None and said(window) != ""
    assert window.stage.comparing
    window.database._connection.execute("PRAGMA query_only = 0")
    window.compose.generate()
    assert not window.stage.comparing


@pytest.mark.parametrize(
    ("state", "badge"),
    [
        (State.CANCELLED, "Stopped"),
        (State.FAILED, "Failed"),
        (State.INTERRUPTED, "Interrupted"),
    ],
)
def test_the_last_preview_says_what_became_of_its_clip(window, state, badge):
    job = Job(SETTINGS, 1)
    window.runner.current = job
    window.stage.follow()
    window.runner.previewed.emit(levels(5), 8.0)
    window.runner.current = None
    window.runner.ended.emit(replace(job, state=state, message="It ended."))
    assert window.stage.player.canvas.badge == badge
    assert not window.stage.player.playhead.playing


def test_watching_shows_the_latest_preview_at_once(window, qtbot, home):
    stage = window.stage
    window.runner.current = Job(SETTINGS, 1)
    open_clip(qtbot, window, write_clip(home / "clip.mp4"))
    stage.watch()
    assert stage.player.canvas.image is None and "first preview" in stage.player.canvas.text
    open_clip(qtbot, window, home / "clip.mp4")
    event = {"stage": "denoise", "step": 4, "total": 20, "remaining": 9}
    window.runner.progressed.emit(window.runner.current, event)
    window.runner.previewed.emit(levels(5), 8.0)
    assert stage.player.path == home / "clip.mp4"
    stage.watch()
    assert stage.player.path is None and stage.player.reel.count == 5
    assert "step 5 of 20" in stage.player.canvas.badge
    window.runner.current = None


def test_the_gallery_marks_the_clip_on_the_stage(qtbot, window, home):
    path = write_clip(home / "clip.mp4")
    window.database.add_clip(path, SETTINGS, 16, 9, 64, 64)
    index = window.gallery.model.index(0)
    assert not index.data(window.gallery.model.MARKS).in_view
    open_clip(qtbot, window, path)
    assert index.data(window.gallery.model.MARKS).in_view
    window.stage.player.clear()
    assert not index.data(window.gallery.model.MARKS).in_view
